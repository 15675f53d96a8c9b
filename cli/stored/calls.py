"""The arguments that several commands of `coffer secrets` have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.commands import show_json
from cli.v1 import completion
from cli.v1.calls import SECRETS, given
from cli.v1.naming import collection_id, secret_id

if TYPE_CHECKING:
    from cli.api import Api

STDIN: Final = Path("-")

Which = Annotated[
    str,
    typer.Argument(
        metavar="NAME_OR_ID", help="Its name, or its id.", autocompletion=completion.secrets
    ),
]
Name = Annotated[str, typer.Argument(help="Its name: letters, digits, _ . -; unique.")]
Environment = Annotated[
    str | None,
    typer.Option(help="Default: the tenant's default.", autocompletion=completion.environments),
]
ItsEnvironment = Annotated[
    str | None,
    typer.Option(
        help="Default: the secret's base environment.", autocompletion=completion.environments
    ),
]
InEnvironment = Annotated[
    str | None,
    typer.Option(
        help="Only those with a value in this one.", autocompletion=completion.environments
    ),
]
Description = Annotated[str | None, typer.Option(help="For people.")]
Collection = Annotated[
    str | None,
    typer.Option(
        metavar="NAME_OR_ID",
        help="The collection it is in, by name or id.",
        autocompletion=completion.collections,
    ),
]
ExpiresAt = Annotated[
    str | None,
    typer.Option(help="When it expires: RFC 3339, with an offset, as 2027-01-31T00:00:00Z."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", "--strict-expiry", help="Give it to nobody once it has expired."),
]
IfMatch = Annotated[
    int | None,
    typer.Option(min=0, help="Go on only if this is the current version; else status 4."),
]


def path_of(api: Api, secret: str) -> str:
    """Of a secret given by id or name. Raises ApiError `not_found`, UnreachableError."""
    return f"{SECRETS}/{secret_id(api, secret)}"


def details(
    api: Api,
    description: str | None,
    environment: str | None,
    collection: str | None,
    expires_at: str | None,
    *,
    strict: bool,
) -> dict[str, Any]:
    """What a new secret of any type may have beside its value. Raises ApiError, UnreachableError."""
    return given(
        description=description,
        environment=environment,
        collection_id=None if collection is None else collection_id(api, collection),
        expires_at=expires_at,
        strict_expiry_enforcement=strict or None,
    )


def without_line_end(text: str) -> str:
    """The text without one line end at its end."""
    return text.removesuffix("\n").removesuffix("\r")


def show_value(stored: dict[str, Any], *, as_json: bool) -> None:
    """What the API says about a new value: where it is, and its version."""
    if as_json:
        show_json(stored)
    else:
        typer.echo(
            f"{stored['name']} in {stored['environment']}: version {stored['value_version']}"
        )
