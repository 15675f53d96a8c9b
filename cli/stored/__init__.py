"""`coffer secrets`: stored secrets. Values go in and never come out over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.commands import group
from cli.stored.importing import import_certificate
from cli.stored.inspecting import inspect
from cli.stored.rows import delete, get, list_
from cli.stored.strings import create, set_

if TYPE_CHECKING:
    import typer


def application() -> typer.Typer:
    """`coffer secrets` with its commands."""
    app = group("Stored secrets. Values are write-only here; consumers fetch them over gRPC.")
    app.command("list")(list_)
    app.command("get")(get)
    app.command("create")(create)
    app.command("set")(set_)
    app.command("import-certificate")(import_certificate)
    app.command("inspect")(inspect)
    app.command("delete")(delete)
    return app
