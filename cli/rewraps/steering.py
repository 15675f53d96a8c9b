"""`coffer rewraps pause`, `resume`, `cancel` and `throttle`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from cli.commands import (
    AsJson,
    DataDir,
    NoWait,
    OtherTenant,
    Yes,
    confirm,
    exit_codes,
    show_json,
)
from cli.rewraps.calls import MAX_THROTTLE, PATH, LiveOne, get, live_id, rewraps_api
from cli.rewraps.pace import moved

_NONE: Final = "none"
_MOST_WORDS: Final = 2


def pause(
    *,
    lease_id: LiveOne = None,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pause a rewrap. What it has moved stays moved; everything can be read all the time.

    Example: coffer rewraps pause

    Exit status: 0 paused, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused:
    no such rewrap, or none that can be paused.
    """
    with exit_codes(), rewraps_api(data_dir, tenant, no_wait=no_wait) as api:
        lease = api.post(f"{PATH}/{live_id(api, lease_id)}/pause")
    _show(lease, "paused", as_json=as_json)


def resume(
    *,
    lease_id: LiveOne = None,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a paused rewrap go on from where it was.

    Example: coffer rewraps resume 42

    Exit status: 0 it goes on, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4
    refused: no such rewrap, or it is not paused.
    """
    with exit_codes(), rewraps_api(data_dir, tenant, no_wait=no_wait) as api:
        lease = api.post(f"{PATH}/{live_id(api, lease_id)}/resume")
    _show(lease, "goes on", as_json=as_json)


def cancel(
    *,
    lease_id: LiveOne = None,
    yes: Yes = False,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a rewrap for good, after asking. What it has not moved stays under its old key, which stays needed.

    `coffer rewraps start` moves the rest another time.

    Example: coffer rewraps cancel --yes

    Exit status: 0 cancelled, 1 tenant sealed, service busy or failing, or not confirmed, 3 no stack found or
    reachable, 4 refused: no such rewrap, or it has ended.
    """
    with exit_codes(), rewraps_api(data_dir, tenant, no_wait=no_wait) as api:
        wanted = live_id(api, lease_id)
        if not yes:
            found = get(api, wanted)
            confirm(
                f"Rewrap {wanted} to version {found['target_version']} has moved {moved(found)}. The rest"
                " stays under its old master key, which stays needed. Cancel it?",
                yes=yes,
            )
        lease = api.post(f"{PATH}/{wanted}/cancel")
    _show(lease, "cancelled", as_json=as_json)


def throttle(
    *,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[ID] N|none",
            help="At most N data keys per second over all workers; none: as fast as it can."
            " Default ID: the newest that has not ended.",
        ),
    ],
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change how fast a rewrap may go, at once.

    Example: coffer rewraps throttle 500

    Exit status: 0 changed, 1 tenant sealed, service busy or failing, 2 neither a number in range nor `none`,
    3 no stack found or reachable, 4 refused: no such rewrap, or it has ended.
    """
    given, rate = _read(words)
    with exit_codes(), rewraps_api(data_dir, tenant, no_wait=no_wait) as api:
        lease = api.patch(f"{PATH}/{live_id(api, given)}", {"throttle_per_second": rate})
    bound = "as fast as it can" if rate is None else f"at most {rate:,} keys/s"
    _show(lease, f"goes {bound}", as_json=as_json)


def _read(words: list[str]) -> tuple[int | None, int | None]:
    """The id, if one was given, and the rate."""
    *before, last = words
    if len(words) > _MOST_WORDS:
        raise typer.BadParameter("at most an id and a rate")
    given = _number(before[0], "the id of a rewrap") if before else None
    if last == _NONE:
        return given, None
    rate = _number(last, f"a number of data keys per second or `{_NONE}`")
    if not 1 <= rate <= MAX_THROTTLE:
        raise typer.BadParameter(f"a rate is from 1 to {MAX_THROTTLE}, or `{_NONE}`")
    return given, rate


def _number(word: str, what: str) -> int:
    if not (word.isascii() and word.isdecimal()):
        raise typer.BadParameter(f"{word!r} is not {what}")
    return int(word)


def _show(lease: dict[str, Any], what: str, *, as_json: bool) -> None:
    if as_json:
        show_json(lease)
    else:
        typer.echo(f"rewrap {lease['id']} {what}: {moved(lease)} moved")
