"""`coffer rewraps`: the background moves to a new master key."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.api import Api, ApiError, UnreachableError
from cli.commands import (
    AsJson,
    DataDir,
    NoWait,
    OtherTenant,
    exit_codes,
    fail,
    group,
    show_json,
    show_table,
)
from cli.connection import Stack
from cli.exits import Exit
from cli.patience import AT_ONCE, PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATH: Final = "/admin/tenant-kms/rewraps"
FINAL: Final = ("completed", "failed", "superseded", "cancelled")
_LOOK_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 60.0
"""How long `watch` looks again while nobody answers: a restart is no reason to leave."""


def application() -> typer.Typer:
    """`coffer rewraps` with its commands."""
    app = group("Rewraps: the background moves of everything stored to a new master key.")
    app.command("list")(list_)
    app.command("watch")(watch)
    return app


def list_(
    *,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    page: Annotated[int, typer.Option(min=1, help="The page, from 1.")] = 1,
    per_page: Annotated[int, typer.Option(min=1, max=100, help="Rows on a page.")] = 20,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List rewraps, newest first.

    Example: coffer rewraps list --state running

    Exit status: 0 listed, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), _api(data_dir, tenant, no_wait=no_wait) as api:
        found = api.get(PATH, state=state, page=page, per_page=per_page)
    if as_json:
        show_json(found)
        return
    show_table(
        ("id", "state", "reason", "to version", "moved", "failed", "created", "finished"),
        [
            (
                row["id"],
                row["state"],
                row["reason"],
                row["target_version"],
                f"{row['done']} of {'?' if row['total'] is None else row['total']}",
                row["failed"],
                row["created_at"],
                row["finished_at"],
            )
            for row in found["rewraps"]
        ],
        "no rewraps",
    )


def watch(
    *,
    lease_id: Annotated[int | None, typer.Argument(help="Which one. Default: the newest.")] = None,
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
    with exit_codes(), _api(data_dir, tenant) as api:
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
        lease = self._newest() if lease_id is None else self._get(lease_id)
        end = math.inf if timeout is None else self._clock() + timeout
        while True:
            show(lease)
            if lease["state"] in FINAL or self._clock() >= end:
                return lease
            self._sleep(max(0.0, min(_LOOK_SECONDS, end - self._clock())))
            lease = self._patiently(lease["id"])

    def _newest(self) -> dict[str, Any]:
        found = self._api.get(PATH, per_page=1)["rewraps"]
        if not found:
            raise ApiError(404, {"type": "not_found", "message": "there is no rewrap yet"})
        newest: dict[str, Any] = found[0]
        return newest

    def _get(self, lease_id: int) -> dict[str, Any]:
        return self._api.get(f"{PATH}/{lease_id}")

    def _patiently(self, lease_id: int) -> dict[str, Any]:
        give_up = self._clock() + _PATIENCE_SECONDS
        while True:
            try:
                return self._get(lease_id)
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


def pace(lease: dict[str, Any]) -> str:
    """Rate and time left, or what is in the way."""
    if lease["state"] == "waiting" and lease["last_error"]:
        return str(lease["last_error"])
    if lease["rate_per_second"] is None:
        return ""
    left = "" if lease["eta_seconds"] is None else f", {_duration(lease['eta_seconds'])} left"
    return f"{lease['rate_per_second']:,.0f} keys/s{left}"


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _outcome(lease: dict[str, Any]) -> str:
    counts = f"{lease['done']} moved, {lease['skipped']} skipped, {lease['failed']} failed"
    trouble = f"; {lease['last_error']}" if lease["last_error"] else ""
    return f"rewrap {lease['id']} to version {lease['target_version']} {lease['state']}: {counts}{trouble}"


def _api(data_dir: Path | None, tenant: str | None, *, no_wait: bool = False) -> Api:
    stack = Stack.locate(data_dir)
    patience = AT_ONCE if no_wait else PATIENT
    return Api(stack.base_url(), stack.admin_jwt(tenant), patience=patience)
