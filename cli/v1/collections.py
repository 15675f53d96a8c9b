"""`coffer collections`: secrets that belong together, and that grants name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.commands import (
    AsJson,
    DataDir,
    NoWait,
    Yes,
    confirm,
    exit_codes,
    group,
    show_facts,
    show_json,
    show_table,
)
from cli.v1 import completion
from cli.v1.calls import COLLECTIONS, changed, given, v1_api
from cli.v1.listing import Order, Page, PerPage, show_rest
from cli.v1.naming import collection_id

Which = Annotated[
    str,
    typer.Argument(
        metavar="NAME_OR_ID", help="Its name, or its id.", autocompletion=completion.collections
    ),
]


class Sort(StrEnum):
    """What a list is sorted by."""

    NAME = "name"
    CREATED_AT = "created_at"


def application() -> typer.Typer:
    """`coffer collections` with its commands."""
    app = group("Collections: secrets that belong together, and that grants name.")
    app.command("list")(list_)
    app.command("get")(get)
    app.command("create")(create)
    app.command("update")(update)
    app.command("delete")(delete)
    return app


def list_(
    *,
    sort: Annotated[Sort, typer.Option(help="What to sort by.")] = Sort.NAME,
    order: Annotated[Order, typer.Option(help="In which direction.")] = Order.ASC,
    page: Page = 1,
    per_page: PerPage = 20,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List collections.

    Example: coffer collections list

    Exit status: 0 listed, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        found = api.get(
            COLLECTIONS, sort=sort.value, order=order.value, page=page, per_page=per_page
        )
    if as_json:
        show_json(found)
        return
    show_table(
        ("name", "secrets", "description", "created", "id"),
        [
            (r["name"], r["secret_count"], r["description"], r["created_at"], r["id"])
            for r in found["data"]
        ],
        "no collections",
    )
    show_rest(found["meta"], "--page shows another")


def get(
    *,
    collection: Which,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one collection.

    Example: coffer collections get billing

    Exit status: 0 shown, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused
    or no such collection.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        row = api.get(f"{COLLECTIONS}/{collection_id(api, collection)}")["data"]
    _show(row, as_json=as_json)


def create(
    *,
    name: Annotated[str, typer.Argument(help="Its name; unique.")],
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a collection.

    Example: coffer collections create billing --description "What the billing service uses"

    Exit status: 0 made, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused.
    """
    body = {"name": name} | given(description=description)
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        row = api.post(COLLECTIONS, body)["data"]
    _show(row, as_json=as_json)


def update(
    *,
    collection: Which,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    description: Annotated[str | None, typer.Option(help="A new description.")] = None,
    no_description: Annotated[
        bool, typer.Option("--no-description", help="No description any more.")
    ] = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change a collection's name or description.

    Example: coffer collections update billing --name payments

    Exit status: 0 changed, 1 tenant sealed, service busy or failing, 2 nothing to change was given, 3 no
    stack found or reachable, 4 refused or no such collection.
    """
    body = changed(name=name, description=(description, no_description))
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        row = api.patch(f"{COLLECTIONS}/{collection_id(api, collection)}", body)["data"]
    _show(row, as_json=as_json)


def delete(
    *,
    collection: Which,
    yes: Yes = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete a collection, after asking. Its secrets stay, in no collection.

    Example: coffer collections delete billing --yes

    Exit status: 0 deleted, 1 tenant sealed, service busy or failing, or not confirmed, 3 no stack found or
    reachable, 4 refused or no such collection.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        confirm(f"Delete the collection {collection}? Its secrets stay.", yes=yes)
        done = api.delete(f"{COLLECTIONS}/{collection_id(api, collection)}")["data"]
    if as_json:
        show_json(done)
    else:
        typer.echo("deleted")


def _show(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(row)
    else:
        show_facts(row.items())
