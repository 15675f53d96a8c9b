"""`coffer apikey`: API keys, written into the registry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from cli import tenancy
from cli.commands import AsJson, DataDir, OfTenant, exit_codes, group, show_json, show_table
from cli.connection import Stack
from services.common import api_keys

DEFAULT_DAYS: Final = 90
"""How long a key is valid when nothing else is said (wire contract, `/v1/api-keys`)."""
_MAX_DAYS: Final = 3650


def application() -> typer.Typer:
    """`coffer apikey` with its commands."""
    app = group("API keys of a tenant.")
    app.command("create")(create)
    app.command("list")(list_)
    app.command("revoke")(revoke)
    return app


def create(
    *,
    tenant: OfTenant,
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do; may be repeated. Default: everything."),
    ] = None,
    expires_in_days: Annotated[
        int, typer.Option(min=1, max=_MAX_DAYS, help="How long it is valid.")
    ] = DEFAULT_DAYS,
    never_expires: Annotated[
        bool, typer.Option("--never-expires", help="Valid until it is revoked.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it. It is shown now and never again.

    Example: coffer apikey create --tenant acme --name ci --scope secrets:read

    Exit status: 0 made, 3 no database, 4 no such tenant or scope.
    """
    expires = None if never_expires else datetime.now(UTC) + timedelta(days=expires_in_days)
    scopes = scope or list(api_keys.SCOPES)
    with exit_codes():
        stack = Stack.locate(data_dir)
        url = stack.database_url()
        token = tenancy.create_api_key(url, stack.tenant_id(tenant), name, scopes, expires)
    if as_json:
        show_json({"api_key": token, "name": name, "scopes": scopes, "expires_at": expires})
    else:
        typer.echo(token)


def list_(tenant: OfTenant, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List a tenant's API keys, newest first, without the keys.

    Example: coffer apikey list --tenant acme

    Exit status: 0 listed, 3 no database, 4 no such tenant.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        rows = tenancy.list_api_keys(stack.database_url(), stack.tenant_id(tenant))
    if as_json:
        show_json(rows)
        return
    show_table(
        ("key id", "prefix", "name", "scopes", "expires", "revoked"),
        [(r.key_id, r.key_prefix, r.name, r.scopes, r.expires_at, r.revoked_at) for r in rows],
        "no API keys",
    )


def revoke(
    tenant: OfTenant,
    key_id: Annotated[str, typer.Argument(help="As `coffer apikey list` shows it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key: the next request with it is 401. May be repeated.

    Example: coffer apikey revoke --tenant acme key_0123456789abcdef

    Exit status: 0 revoked, 3 no database, 4 no such tenant or key.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        url = stack.database_url()
        new = tenancy.revoke_api_key(url, stack.tenant_id(tenant), key_id)
    if as_json:
        show_json({"revoked": True, "key_id": key_id})
    else:
        typer.echo("revoked" if new else "was revoked before")
