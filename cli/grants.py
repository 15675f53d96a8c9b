"""`coffer grant`: which consumers may fetch a tenant's values."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import tenancy
from cli.commands import AsJson, DataDir, OfTenant, exit_codes, group, show_json, show_table
from cli.connection import Stack


def application() -> typer.Typer:
    """`coffer grant` with its commands."""
    app = group("Grants: which consumers may fetch a tenant's values.")
    app.command("create")(create)
    app.command("list")(list_)
    app.command("delete")(delete)
    return app


def create(
    *,
    tenant: OfTenant,
    consumer: Annotated[
        str, typer.Argument(help="NAME of spiffe://coffer/consumer/NAME in its certificate.")
    ],
    collection: Annotated[
        list[str] | None,
        typer.Option(help="Only this collection, by id; may be repeated. Default: all."),
    ] = None,
    environment: Annotated[
        list[str] | None,
        typer.Option(help="Only this environment; may be repeated. Default: all."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a consumer fetch values over gRPC (AccessSecret). The same grant again changes nothing.

    Example: coffer grant create --tenant acme billing --environment production

    Exit status: 0 granted, 3 no database, 4 no such tenant or a bad name.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        grant_id = tenancy.grant_consumer(
            stack.database_url(),
            stack.tenant_id(tenant),
            consumer,
            collection_ids=collection,
            environment_names=environment,
        )
    if as_json:
        show_json({"id": grant_id, "consumer": consumer})
    else:
        typer.echo(grant_id)


def list_(tenant: OfTenant, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List a tenant's grants, by consumer.

    Example: coffer grant list --tenant acme

    Exit status: 0 listed, 3 no database, 4 no such tenant.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        rows = tenancy.list_grants(stack.database_url(), stack.tenant_id(tenant))
    if as_json:
        show_json(rows)
        return
    show_table(
        ("id", "consumer", "collections", "environments", "created"),
        [
            (
                r.id,
                r.consumer,
                "all" if r.collection_ids is None else r.collection_ids,
                "all" if r.environment_names is None else r.environment_names,
                r.created_at,
            )
            for r in rows
        ],
        "no grants",
    )


def delete(
    tenant: OfTenant,
    grant_id: Annotated[str, typer.Argument(help="As `coffer grant list` shows it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a grant back. What was fetched before is not called back.

    Example: coffer grant delete --tenant acme 0b4b5c9e-7b3b-4d5e-9d51-0c9e8b1f2a33

    Exit status: 0 deleted, 3 no database, 4 no such tenant or grant.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        tenancy.delete_grant(stack.database_url(), stack.tenant_id(tenant), grant_id)
    if as_json:
        show_json({"deleted": True, "id": grant_id})
    else:
        typer.echo("deleted")
