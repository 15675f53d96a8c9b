"""Calls of `/admin/tenant-kms/rewraps`, and what several commands have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.api import Api, ApiError
from cli.connection import Stack
from cli.patience import AT_ONCE, PATIENT

if TYPE_CHECKING:
    from pathlib import Path

PATH: Final = "/admin/tenant-kms/rewraps"
FINAL: Final = ("completed", "failed", "superseded", "cancelled")
"""The states of a rewrap that has ended."""
MAX_THROTTLE: Final = 1_000_000
"""Data keys per second."""

Newest = Annotated[
    int | None, typer.Argument(metavar="[ID]", help="Which one. Default: the newest.")
]
LiveOne = Annotated[
    int | None,
    typer.Argument(metavar="[ID]", help="Which one. Default: the newest that has not ended."),
]


def rewraps_api(data_dir: Path | None, tenant: str | None, *, no_wait: bool = False) -> Api:
    """The API with the administrator's token. Raises StackNotFoundError."""
    stack = Stack.locate(data_dir)
    patience = AT_ONCE if no_wait else PATIENT
    return Api(stack.base_url(), stack.admin_jwt(tenant), patience=patience)


def newest(api: Api) -> dict[str, Any]:
    """The newest rewrap. Raises ApiError, also when there is none; UnreachableError."""
    found = api.get(PATH, per_page=1)["rewraps"]
    if not found:
        raise ApiError(404, {"type": "not_found", "message": "there is no rewrap yet"})
    lease: dict[str, Any] = found[0]
    return lease


def get(api: Api, lease_id: int) -> dict[str, Any]:
    """One rewrap. Raises ApiError, UnreachableError."""
    return api.get(f"{PATH}/{lease_id}")


def live_id(api: Api, lease_id: int | None) -> int:
    """The id that was given, or that of the newest rewrap, if it has not ended: a tenant has one at a time.

    Raises ApiError, also when there is none; UnreachableError.
    """
    if lease_id is not None:
        return lease_id
    found = newest(api)
    if found["state"] in FINAL:
        told = f"no rewrap is under way: the newest, {found['id']}, is {found['state']}"
        raise ApiError(409, {"type": "invalid_state", "message": told})
    number: int = found["id"]
    return number
