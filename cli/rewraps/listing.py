"""`coffer rewraps list`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands import (
    AsJson,
    DataDir,
    NoWait,
    OtherTenant,
    exit_codes,
    show_json,
    show_table,
)
from cli.rewraps.calls import PATH, rewraps_api
from cli.rewraps.pace import moved, pace


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
    """List rewraps, newest first, with rate and time left of the one that is at work.

    Example: coffer rewraps list --state running

    Exit status: 0 listed, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), rewraps_api(data_dir, tenant, no_wait=no_wait) as api:
        found = api.get(PATH, state=state, page=page, per_page=per_page)
    if as_json:
        show_json(found)
        return
    show_table(
        ("id", "state", "reason", "to version", "moved", "pace", "failed", "created", "finished"),
        [
            (
                row["id"],
                row["state"],
                row["reason"],
                row["target_version"],
                moved(row),
                pace(row) or None,
                row["failed"],
                row["created_at"],
                row["finished_at"],
            )
            for row in found["rewraps"]
        ],
        "no rewraps",
    )
