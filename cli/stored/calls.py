"""Calls of `/v1/secrets`, and the arguments that several commands have."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import typer

from cli.api import Api, ApiError
from cli.connection import Stack

PATH: Final = "/v1/secrets"
STDIN: Final = Path("-")
_PER_PAGE: Final = 100

Which = Annotated[str, typer.Argument(metavar="NAME_OR_ID", help="Its name, or its id.")]
Name = Annotated[str, typer.Argument(help="Its name: letters, digits, _ . -; unique.")]
Environment = Annotated[str | None, typer.Option(help="Default: the tenant's default.")]
Description = Annotated[str | None, typer.Option(help="For people.")]


def v1_api(data_dir: Path | None) -> Api:
    """The API with the tenant's key. Raises StackNotFoundError."""
    stack = Stack.locate(data_dir)
    return Api(stack.base_url(), stack.api_key())


def given(**fields: str | bool | None) -> dict[str, str | bool]:
    """The fields of a body that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def without_line_end(text: str) -> str:
    """The text without one line end at its end."""
    return text.removesuffix("\n").removesuffix("\r")


def find(api: Api, secret: str) -> str:
    """The id of a secret given by id or name. Raises ApiError `not_found`."""
    try:
        return str(uuid.UUID(secret))
    except ValueError:
        pass
    page = 1
    while True:
        found = api.get(PATH, search=secret, page=page, per_page=_PER_PAGE)
        for row in found["data"]:
            if row["name"] == secret:
                return quote(str(row["id"]))
        if page >= found["meta"]["total_pages"]:
            message = f"there is no secret {secret}"
            raise ApiError(404, {"type": "not_found", "message": message})
        page += 1
