"""`coffer apikey`: API keys, written into the registry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from cli import tenancy
from cli.commands import AsJson, DataDir, OfTenant, exit_codes, group, show_json, show_table
from cli.connection import Stack
from services.common import api_keys
from services.common.rate_limits import DEFAULT_WINDOW_SECONDS, MAX_LIMIT

DEFAULT_DAYS: Final = 90
"""How long a key is valid when nothing else is said (wire contract, `/v1/api-keys`)."""
_MAX_DAYS: Final = 3650
_NONE: Final = "none"
_DEFAULT: Final = "default"


def application() -> typer.Typer:
    """`coffer apikey` with its commands."""
    app = group("API keys of a tenant.")
    app.command("create")(create)
    app.command("limit")(limit)
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
    rate_limit: Annotated[
        str | None,
        typer.Option(metavar="N|none", help="Calls in 60 s. Default: as the service is set."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it. It is shown now and never again.

    Example: coffer apikey create --tenant acme --name ci --scope secrets:read

    Exit status: 0 made, 3 no database, 4 no such tenant or scope.
    """
    expires = None if never_expires else datetime.now(UTC) + timedelta(days=expires_in_days)
    scopes = scope or list(api_keys.SCOPES)
    calls = _calls(rate_limit)
    with exit_codes():
        stack = Stack.locate(data_dir)
        url = stack.database_url()
        tenant_id = stack.tenant_id(tenant)
        token = tenancy.create_api_key(url, tenant_id, name, scopes, expires, rate_limit=calls)
    if as_json:
        show_json({"api_key": token, "name": name, "scopes": scopes, "expires_at": expires})
    else:
        typer.echo(token)


def limit(
    *,
    tenant: OfTenant,
    key_id: Annotated[str, typer.Argument(help="As `coffer apikey list` shows it.")],
    rate_limit: Annotated[
        str,
        typer.Option(
            metavar="N|none|default", help="Calls in 60 s; none; or as the service is set."
        ),
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Limit how often an API key may call, from its next call on. May be repeated.

    Keys that it makes later have the same limit, those that it made before keep theirs.

    Example: coffer apikey limit --tenant acme key_0123456789abcdef --rate-limit 600

    Exit status: 0 limited, 3 no database, 4 no such tenant or key.
    """
    calls = _calls(rate_limit)
    with exit_codes():
        stack = Stack.locate(data_dir)
        tenancy.limit_api_key(stack.database_url(), stack.tenant_id(tenant), key_id, calls)
    if as_json:
        show_json({"key_id": key_id, "rate_limit": calls})
    else:
        typer.echo(f"limited: {_limit(calls)}")


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
        ("key id", "prefix", "name", "scopes", "expires", "revoked", "last used", "limit"),
        [
            (
                r.key_id,
                r.key_prefix,
                r.name,
                r.scopes,
                r.expires_at,
                r.revoked_at,
                r.last_used_at,
                _limit(r.rate_limit, r.rate_window_seconds),
            )
            for r in rows
        ],
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


def _calls(text: str | None) -> int | None:
    """Of `N`, `none` (0) or `default` (None)."""
    if text is None or text == _DEFAULT:
        return None
    if text == _NONE:
        return 0
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise typer.BadParameter(f"is 1 to {MAX_LIMIT}, {_NONE} or {_DEFAULT}")
    return int(text)


def _limit(calls: int | None, seconds: int = DEFAULT_WINDOW_SECONDS) -> str:
    if calls is None:
        return _DEFAULT
    return f"{calls} in {seconds} s" if calls else _NONE
