"""`coffer rewraps`: the background moves to a new master key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.commands import group
from cli.rewraps.listing import list_
from cli.rewraps.reporting import check_report, report
from cli.rewraps.starting import start
from cli.rewraps.steering import cancel, pause, resume, throttle
from cli.rewraps.watching import follow, watch

if TYPE_CHECKING:
    import typer

__all__ = ["application", "follow"]


def application() -> typer.Typer:
    """`coffer rewraps` with its commands."""
    app = group("Rewraps: the background moves of everything stored to a new master key.")
    app.command("list")(list_)
    for command in (watch, start, pause, resume, cancel, throttle, report):
        app.command(command.__name__)(command)
    app.command("check-report")(check_report)
    return app
