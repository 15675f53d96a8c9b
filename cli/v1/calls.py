"""Calls of `/v1`, and what the bodies of several commands are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import typer

from cli.api import Api
from cli.connection import Stack
from cli.patience import AT_ONCE, PATIENT

if TYPE_CHECKING:
    from pathlib import Path

SECRETS: Final = "/v1/secrets"
COLLECTIONS: Final = "/v1/collections"
ENVIRONMENTS: Final = "/v1/environments"
API_KEYS: Final = "/v1/api-keys"


def v1_api(data_dir: Path | None, *, no_wait: bool = False) -> Api:
    """The API with the tenant's key. Raises StackNotFoundError."""
    stack = Stack.locate(data_dir)
    patience = AT_ONCE if no_wait else PATIENT
    return Api(stack.base_url(), stack.api_key(), patience=patience)


def quoted(part: str) -> str:
    """What a person typed, as one part of a path."""
    return quote(part, safe="")


def given(**fields: str | int | bool | list[str] | None) -> dict[str, Any]:
    """The fields of a body that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def changed(**fields: str | bool | tuple[str | None, bool] | None) -> dict[str, Any]:
    """The body of a PATCH: what has a value, and null for what is to be cleared.

    What can be cleared is a pair: the new value, and whether to clear it. Raises typer.BadParameter when
    a pair says both, or nothing is to be changed.
    """
    body: dict[str, Any] = {}
    for name, field in fields.items():
        value, clear = field if isinstance(field, tuple) else (field, False)
        if clear and value is not None:
            raise typer.BadParameter(f"{name}: either a new one or none, not both")
        if clear or value is not None:
            body[name] = value
    if not body:
        raise typer.BadParameter("nothing to change was given")
    return body
