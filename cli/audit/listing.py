"""`coffer audit list`: what happened, newest first, over the REST API."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cli.commands import AsJson, DataDir, NoWait, exit_codes, show_json, show_table
from cli.v1.calls import v1_api

PATH: Final = "/v1/audit-logs"


def list_(
    *,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as `secret.created`.")
    ] = None,
    action_prefix: Annotated[
        str | None, typer.Option(help="Only actions that begin with this, such as `secret.`.")
    ] = None,
    resource_type: Annotated[str | None, typer.Option(help="Only this kind of thing.")] = None,
    page: Annotated[int, typer.Option(min=1, help="The page, from 1.")] = 1,
    per_page: Annotated[int, typer.Option(min=1, max=100, help="Rows on a page.")] = 20,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the tenant's audit events, newest first, with the API key (scope audit:read).

    Example: coffer audit list --action-prefix secret. --per-page 50

    Exit status: 0 listed, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        found = api.get(
            PATH,
            action=action,
            action_prefix=action_prefix,
            resource_type=resource_type,
            page=page,
            per_page=per_page,
        )
    if as_json:
        show_json(found)
        return
    show_table(
        ("time", "action", "resource", "id", "actor", "address"),
        [
            (
                row["created_at"],
                row["action"],
                row["resource_type"],
                row["resource_id"],
                row["actor"],
                row["ip_address"],
            )
            for row in found["data"]
        ],
        "no events",
    )
