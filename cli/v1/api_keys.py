"""`coffer apikeys`: a tenant's API keys, through one of them that may manage keys."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import typer

from cli.commands import (
    AsJson,
    DataDir,
    NoWait,
    Yes,
    confirm,
    exit_codes,
    fail,
    group,
    show_json,
    show_table,
)
from cli.exits import Exit
from cli.v1.calls import API_KEYS, given, quoted, v1_api
from cli.v1.listing import Page, PerPage, show_rest

_RATE: Final = re.compile(r"([1-9][0-9]{0,6})(?:/([1-9][0-9]{0,4}))?")
_MAX_DAYS: Final = 3650


def application() -> typer.Typer:
    """`coffer apikeys` with its commands."""
    app = group(
        "API keys, managed with an API key that may. `coffer apikey` is the operator's, on the registry."
    )
    app.command("list")(list_)
    app.command("create")(create)
    app.command("revoke")(revoke)
    return app


def list_(
    *,
    page: Page = 1,
    per_page: PerPage = 20,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List API keys, newest first, without the keys. Revoked ones are not in the list.

    Example: coffer apikeys list

    Exit status: 0 listed, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        found = api.get(API_KEYS, page=page, per_page=per_page)
    if as_json:
        show_json(found)
        return
    show_table(
        ("key id", "prefix", "name", "scopes", "expires", "last used"),
        [
            (
                row["key_id"],
                row["key_prefix"],
                row["name"],
                row["scopes"],
                row["expires_at"],
                row["last_used_at"],
            )
            for row in found["data"]
        ],
        "no API keys",
    )
    show_rest(found["meta"], "--page shows another")


def create(
    *,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do; may be repeated. Default: all that the own key may."),
    ] = None,
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=_MAX_DAYS, help="How long it is valid. Default: 90.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option(help="Until when it is valid: RFC 3339, with an offset.")
    ] = None,
    never_expires: Annotated[
        bool, typer.Option("--never-expires", help="Valid until it is revoked.")
    ] = False,
    rate_limit: Annotated[
        str | None,
        typer.Option(
            metavar="N[/SECONDS]", help="At most so many requests in so many seconds (60)."
        ),
    ] = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown now and never again: alone on standard output, to be piped on.

    Example: coffer apikeys create ci --scope secrets:read --expires-in-days 30 | pass insert -m coffer/ci

    Exit status: 0 made, 1 tenant sealed, service busy or failing, or made but the key was lost with the
    connection, 2 contradicting options, 3 no stack found or reachable, 4 refused.
    """
    if sum((expires_in_days is not None, expires_at is not None, never_expires)) > 1:
        raise typer.BadParameter("say only one of --expires-in-days, --expires-at, --never-expires")
    requests, seconds = _rate(rate_limit)
    body = {"name": name} | given(
        scopes=scope or None,
        expires_in_days=expires_in_days,
        expires_at=expires_at,
        never_expires=never_expires or None,
        rate_limit_requests=requests,
        rate_limit_window_sec=seconds,
    )
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        row = api.post(API_KEYS, body)["data"]
    _show(row, as_json=as_json)


def revoke(
    *,
    key_id: Annotated[str, typer.Argument(help="As `coffer apikeys list` shows it, or its id.")],
    yes: Yes = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key, after asking: the next request with it is refused.

    Example: coffer apikeys revoke key_0123456789abcdef --yes

    Exit status: 0 revoked, 1 tenant sealed, service busy or failing, or not confirmed, 3 no stack found or
    reachable, 4 refused or no such key.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        confirm(f"Revoke {key_id}? What uses it stops working at once.", yes=yes)
        done = api.delete(f"{API_KEYS}/{quoted(key_id)}")["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo("revoked")


def _show(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(row)
    elif row["api_key"] is not None:
        typer.echo(row["api_key"])
        expires = row["expires_at"] or "never"
        typer.echo(f"{row['key_id']} made, expires {expires}; not shown again", err=True)
    if row["api_key"] is None:
        told = f"{row['key_id']} was made, but the answer that held the key was lost"
        fail(f"{told}: revoke it and create another one", Exit.FAILED)


def _rate(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    match = _RATE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text} is not N or N/SECONDS", param_hint="--rate-limit")
    seconds = match.group(2)
    return int(match.group(1)), None if seconds is None else int(seconds)
