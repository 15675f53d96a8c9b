"""`coffer tenant`: the tenants of a database."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import tenancy
from cli.commands import AsJson, DataDir, exit_codes, group, show_json, show_table
from cli.connection import Stack


def application() -> typer.Typer:
    """`coffer tenant` with its commands."""
    app = group("Tenants of a database.")
    app.command("create")(create)
    app.command("list")(list_)
    return app


def create(
    slug: Annotated[str, typer.Argument(help="1 to 63 of a-z 0-9 -, not - first; unique.")],
    name: Annotated[str | None, typer.Option(help="For people. Default: the slug.")] = None,
    plan: Annotated[str, typer.Option(help=f"One of {', '.join(tenancy.PLANS)}.")] = "starter",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant and print its id.

    Example: coffer tenant create acme --name "Acme Inc" --plan pro

    Exit status: 0 made, 3 no database, 4 the slug is taken or no such plan.
    """
    with exit_codes():
        tenant_id = tenancy.create_tenant(
            Stack.locate(data_dir).database_url(), slug, name or slug, plan
        )
    if as_json:
        show_json({"id": tenant_id, "slug": slug, "name": name or slug, "plan": plan})
    else:
        typer.echo(tenant_id)


def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every tenant, by slug.

    Example: coffer tenant list --json

    Exit status: 0 listed, 3 no database.
    """
    with exit_codes():
        rows = tenancy.list_tenants(Stack.locate(data_dir).database_url())
    if as_json:
        show_json(rows)
        return
    show_table(
        ("slug", "id", "name", "plan", "status", "created"),
        [(r.slug, r.id, r.name, r.plan, r.status, r.created_at) for r in rows],
        "no tenants",
    )
