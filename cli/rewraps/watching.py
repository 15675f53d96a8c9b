"""`coffer rewraps watch`."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.api import Api, ApiError, UnreachableError
from cli.commands import AsJson, DataDir, OtherTenant, exit_codes, fail, show_json
from cli.exits import Exit
from cli.rewraps.calls import FINAL, Newest, get, newest, rewraps_api
from cli.rewraps.pace import pace

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 60.0
"""How long `watch` looks again while nobody answers: a restart is no reason to leave."""


def watch(
    *,
    lease_id: Newest = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Give up after so many seconds.")
    ] = None,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show a rewrap with rate and time left until it ends.

    Example: coffer rewraps watch

    Exit status: 0 completed, 1 tenant sealed, service busy or failing, or it failed, was superseded or
    cancelled, or did not end in time, 3 no stack found or reachable, 4 refused or no such rewrap.
    """
    with exit_codes(), rewraps_api(data_dir, tenant) as api:
        follow(api, lease_id, timeout, Console(stderr=as_json, highlight=False), quiet=as_json)


def follow(
    api: Api, lease_id: int | None, timeout: float | None, console: Console, *, quiet: bool
) -> None:
    """Show a rewrap (None: the newest) until it ends, and how; `quiet` prints JSON for a script instead.

    Leaves with Exit.FAILED if it did not complete in time. Raises ApiError, UnreachableError.
    """
    watching = Watch(api.at_once(), time.monotonic, time.sleep)
    with Display(console) as display:
        lease = watching.until_the_end(lease_id, timeout, display.show)
    if quiet:
        show_json(lease)
    if lease["state"] not in FINAL:
        fail(f"rewrap {lease['id']} has not ended within {timeout:g} s", Exit.FAILED)
    if not quiet:
        typer.echo(_outcome(lease))
    if lease["state"] != "completed":
        raise typer.Exit(Exit.FAILED)


class Watch:
    """Looks at a lease until it ends."""

    def __init__(
        self, api: Api, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._api = api
        self._clock = clock
        self._sleep = sleep

    def until_the_end(
        self,
        lease_id: int | None,
        timeout: float | None,
        show: Callable[[dict[str, Any]], None],
    ) -> dict[str, Any]:
        """The lease when it has ended, or as it is when the time is up.

        Raises ApiError, UnreachableError; both only at once or after _PATIENCE_SECONDS.
        """
        lease = newest(self._api) if lease_id is None else get(self._api, lease_id)
        end = math.inf if timeout is None else self._clock() + timeout
        while True:
            show(lease)
            if lease["state"] in FINAL or self._clock() >= end:
                return lease
            self._sleep(max(0.0, min(_LOOK_SECONDS, end - self._clock())))
            lease = self._patiently(lease["id"])

    def _patiently(self, lease_id: int) -> dict[str, Any]:
        give_up = self._clock() + _PATIENCE_SECONDS
        while True:
            try:
                return get(self._api, lease_id)
            except (UnreachableError, ApiError) as error:
                permanent = isinstance(error, ApiError) and error.refused
                if permanent or self._clock() >= give_up:
                    raise
            self._sleep(_LOOK_SECONDS)


class Display:
    """A progress bar on a terminal; elsewhere a line for each change of state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state: str | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("rewrap", total=None, pace="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, lease: dict[str, Any]) -> None:
        """Show the lease as it is now."""
        self._progress.update(
            self._task,
            description=f"rewrap {lease['id']} {lease['state']}",
            total=lease["total"],
            completed=lease["done"] + lease["skipped"] + lease["failed"],
            pace=pace(lease),
        )
        new = lease["state"] != self._state and lease["state"] not in FINAL
        if new and not self._console.is_terminal:
            self._console.print(f"rewrap {lease['id']} {lease['state']} {pace(lease)}".rstrip())
        self._state = lease["state"]


def _outcome(lease: dict[str, Any]) -> str:
    counts = f"{lease['done']} moved, {lease['skipped']} skipped, {lease['failed']} failed"
    trouble = f"; {lease['last_error']}" if lease["last_error"] else ""
    return f"rewrap {lease['id']} to version {lease['target_version']} {lease['state']}: {counts}{trouble}"
