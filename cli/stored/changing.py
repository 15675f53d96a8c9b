"""`coffer secrets update`: everything of a secret but its value."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands import AsJson, DataDir, NoWait, exit_codes, show_json
from cli.stored.calls import Collection, Description, ExpiresAt, Which, path_of
from cli.stored.rows import show_row
from cli.v1.calls import changed, v1_api
from cli.v1.naming import collection_id


def update(
    *,
    secret: Which,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    description: Description = None,
    no_description: Annotated[
        bool, typer.Option("--no-description", help="No description any more.")
    ] = False,
    collection: Collection = None,
    no_collection: Annotated[
        bool, typer.Option("--no-collection", help="In no collection any more.")
    ] = False,
    expires_at: ExpiresAt = None,
    no_expiry: Annotated[
        bool, typer.Option("--no-expiry", help="No expiry of its own; a certificate has its own.")
    ] = False,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict", help="Give it to nobody once it has expired, or warn only."
        ),
    ] = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change a secret's name, description, collection or expiry. Its value: `coffer secrets set`.

    Example: coffer secrets update DB_PASSWORD --collection billing --expires-at 2027-01-31T00:00:00Z

    Exit status: 0 changed, 1 tenant sealed, service busy or failing, 2 nothing to change was given, 3 no
    stack found or reachable, 4 refused, no such secret or collection.
    """
    body = changed(
        name=name,
        description=(description, no_description),
        collection_id=(collection, no_collection),
        expires_at=(expires_at, no_expiry),
        strict_expiry_enforcement=strict,
    )
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        if collection is not None:
            body["collection_id"] = collection_id(api, collection)
        row = api.patch(path_of(api, secret), body)["data"]
    if as_json:
        show_json(row)
    else:
        show_row(row)
