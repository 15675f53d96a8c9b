"""Calls of `/admin/tenant-kms`, and what several commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from cli.api import Api, ApiError
from cli.patience import AT_ONCE, PATIENT
from cli.rewraps import follow

if TYPE_CHECKING:
    from cli.connection import Stack

PATH: Final = "/admin/tenant-kms"

Watch = Annotated[bool, typer.Option("--watch", help="Show the rewrap until it ends.")]


def admin_api(stack: Stack, tenant: str | None, *, no_wait: bool = False) -> Api:
    """The API with the administrator's token. Raises StackNotFoundError."""
    patience = AT_ONCE if no_wait else PATIENT
    return Api(stack.base_url(), stack.admin_jwt(tenant), patience=patience)


def with_step_up_if_asked(
    api: Api, stack: Stack, tenant: str | None, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    """POST; once more with a step-up token where the operator's settings ask for one."""
    try:
        return api.post(path, body)
    except ApiError as error:
        if error.code != "step_up_required":
            raise
    return api.post(path, body, step_up=stack.step_up(tenant))


def watch_rewrap(api: Api, lease_id: int | None, *, quiet: bool) -> None:
    """Show a rewrap (None: the newest) until it ends; leave with status 1 if it did not complete."""
    follow(api, lease_id, None, Console(stderr=quiet, highlight=False), quiet=quiet)
