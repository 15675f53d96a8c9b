"""`coffer secrets list`, `get` and `delete`: what is stored, without its values."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands import AsJson, DataDir, exit_codes, fail, show_facts, show_json, show_table
from cli.exits import Exit
from cli.stored.calls import PATH, Which, find, v1_api


def list_(
    *,
    search: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    secret_type: Annotated[
        str | None, typer.Option("--type", help="`string` or `certificate`.")
    ] = None,
    page: Annotated[int, typer.Option(min=1, help="The page, from 1.")] = 1,
    per_page: Annotated[int, typer.Option(min=1, max=100, help="Rows on a page.")] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List secrets by name, without values.

    Example: coffer secrets list --search TLS

    Exit status: 0 listed, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir) as api:
        found = api.get(PATH, search=search, secret_type=secret_type, page=page, per_page=per_page)
    if as_json:
        show_json(found)
        return
    show_table(
        ("name", "type", "environment", "version", "expires", "updated", "id"),
        [
            (
                row["name"],
                row["secret_type"],
                row["base_environment"],
                row["value_version"],
                row["expires_at"],
                row["updated_at"],
                row["id"],
            )
            for row in found["data"]
        ],
        "no secrets",
    )


def get(secret: Which, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one secret, without its value.

    Example: coffer secrets get MY_TLS_CERT

    Exit status: 0 shown, 3 no stack found or reachable, 4 refused or no such secret.
    """
    with exit_codes(), v1_api(data_dir) as api:
        row = api.get(f"{PATH}/{find(api, secret)}")["data"]
    if as_json:
        show_json(row)
        return
    plain = {name: value for name, value in row.items() if name not in {"environments", "metadata"}}
    metadata = {f"metadata {name}": value for name, value in (row.get("metadata") or {}).items()}
    show_facts([*plain.items(), *metadata.items()])
    typer.echo()
    show_table(
        ("environment", "version", "updated"),
        [(e["environment_name"], e["value_version"], e["updated_at"]) for e in row["environments"]],
        "no environments",
    )


def delete(
    *,
    secret: Which,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete a secret, after asking. Its name is free at once.

    Example: coffer secrets delete DB_PASSWORD --yes

    Exit status: 0 deleted, 1 not confirmed, 3 no stack found or reachable, 4 refused or no such secret.
    """
    with exit_codes(), v1_api(data_dir) as api:
        secret_id = find(api, secret)
        if not yes and not typer.confirm(f"Delete {secret}?", err=True):
            fail("not deleted", Exit.FAILED)
        done = api.delete(f"{PATH}/{secret_id}")["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo("deleted")
