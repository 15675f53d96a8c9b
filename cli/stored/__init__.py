"""`coffer secrets`: stored secrets. Values go in and never come out over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.commands import group
from cli.stored.arguments import NoValueInArguments
from cli.stored.certificates.importing import import_certificate
from cli.stored.certificates.inspecting import inspect
from cli.stored.changing import update
from cli.stored.deleting import delete, remove_environment, undelete
from cli.stored.rows import get, list_
from cli.stored.setting import set_
from cli.stored.strings import create
from cli.stored.versions import history, restore

if TYPE_CHECKING:
    import typer


def application() -> typer.Typer:
    """`coffer secrets` with its commands."""
    app = group("Stored secrets. Values are write-only here; consumers fetch them over gRPC.")
    app.command("list")(list_)
    app.command("get")(get)
    app.command("create", cls=NoValueInArguments)(create)
    app.command("import-certificate")(import_certificate)
    app.command("inspect")(inspect)
    app.command("set", cls=NoValueInArguments)(set_)
    app.command("update")(update)
    app.command("history")(history)
    app.command("restore")(restore)
    app.command("delete")(delete)
    app.command("undelete")(undelete)
    app.command("remove-environment")(remove_environment)
    return app
