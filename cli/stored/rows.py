"""`coffer secrets list` and `get`: what is stored, without its values."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands import AsJson, DataDir, NoWait, exit_codes, show_facts, show_json, show_table
from cli.stored.calls import Collection, InEnvironment, Which, path_of
from cli.v1.calls import SECRETS, v1_api
from cli.v1.listing import Asked, Order, PerPage, all_pieces, show_rest
from cli.v1.naming import collection_id

if TYPE_CHECKING:
    from collections.abc import Iterable


class Sort(StrEnum):
    """What a list is sorted by."""

    NAME = "name"
    CREATED_AT = "created_at"
    BASE_ENVIRONMENT = "base_environment"
    EXPIRES_AT = "expires_at"


def list_(
    *,
    search: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    secret_type: Annotated[
        str | None, typer.Option("--type", help="`string` or `certificate`.")
    ] = None,
    collection: Collection = None,
    environment: InEnvironment = None,
    expires_before: Annotated[
        str | None, typer.Option(help="Only those that expire before: RFC 3339, with an offset.")
    ] = None,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Those that were deleted and can be restored.")
    ] = False,
    sort: Annotated[Sort, typer.Option(help="What to sort by.")] = Sort.NAME,
    order: Annotated[Order, typer.Option(help="In which direction.")] = Order.ASC,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, each once, not only a page.")
    ] = False,
    page: Annotated[int | None, typer.Option(min=1, help="The page, from 1.")] = None,
    per_page: PerPage = 20,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List secrets, without values.

    Example: coffer secrets list --search TLS

    Example: coffer secrets list --all --sort expires_at --expires-before 2027-01-31T00:00:00Z

    Exit status: 0 listed, 1 tenant sealed, service busy or failing, 2 --all and --page, 3 no stack found or
    reachable, 4 refused.
    """
    if everything and page is not None:
        raise typer.BadParameter("--all has no pages", param_hint="--page")
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        query: dict[str, Asked] = {
            "search": search,
            "secret_type": secret_type,
            "collection_id": None if collection is None else collection_id(api, collection),
            "environment": environment,
            "expires_before": expires_before,
            "deleted": deleted or None,
            "sort": sort.value,
            "order": order.value,
        }
        if everything:
            rows = list(all_pieces(api, SECRETS, **query))
            found: dict[str, Any] = {"data": rows, "meta": {"total": len(rows)}}
        else:
            found = api.get(SECRETS, page=page or 1, per_page=per_page, **query)
    if as_json:
        show_json(found)
        return
    _show_rows(found["data"], deleted=deleted)
    if not everything:
        show_rest(found["meta"], "--page shows another, --all shows all")


def get(
    *,
    secret: Which,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one secret, without its value.

    Example: coffer secrets get MY_TLS_CERT

    Exit status: 0 shown, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused
    or no such secret.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        row = api.get(path_of(api, secret))["data"]
    if as_json:
        show_json(row)
        return
    show_row({name: value for name, value in row.items() if name != "environments"})
    typer.echo()
    show_table(
        ("environment", "version", "updated", "expires"),
        [
            (e["environment_name"], e["value_version"], e["updated_at"], e["expires_at_override"])
            for e in row["environments"]
        ],
        "no environments",
    )


def show_row(row: dict[str, Any]) -> None:
    """A secret's row for a person."""
    plain = {name: value for name, value in row.items() if name != "metadata"}
    metadata = {f"metadata {name}": value for name, value in (row.get("metadata") or {}).items()}
    show_facts([*plain.items(), *metadata.items()])


def _show_rows(rows: Iterable[dict[str, Any]], *, deleted: bool) -> None:
    last = "deleted" if deleted else "updated"
    show_table(
        ("name", "type", "environment", "version", "expires", last, "id"),
        [
            (
                row["name"],
                row["secret_type"],
                row["base_environment"],
                row["value_version"],
                row["expires_at"],
                row[f"{last}_at"],
                row["id"],
            )
            for row in rows
        ],
        "no secrets",
    )
