"""`coffer audit`: a tenant's audit events, and the proof that nobody changed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.audit.checking import check
from cli.audit.exporting import export
from cli.audit.heads import head
from cli.audit.listing import list_
from cli.audit.verifying import verify
from cli.commands import group

if TYPE_CHECKING:
    import typer


def application() -> typer.Typer:
    """`coffer audit` with its commands."""
    app = group("A tenant's audit events, and the proof that nobody changed them.")
    app.command("list")(list_)
    for command in (verify, export, check, head):
        app.command(command.__name__)(command)
    return app
