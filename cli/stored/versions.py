"""`coffer secrets history` and `restore`: the values a secret had, without showing them."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands import AsJson, DataDir, NoWait, exit_codes, show_json, show_table
from cli.stored.calls import IfMatch, ItsEnvironment, Which, path_of, show_value
from cli.v1.calls import given, v1_api
from cli.v1.listing import Page, PerPage, show_rest


def history(
    *,
    secret: Which,
    environment: ItsEnvironment = None,
    page: Page = 1,
    per_page: PerPage = 20,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the versions of a secret's value in one environment, newest first, without the values.

    Example: coffer secrets history DB_PASSWORD

    Exit status: 0 listed, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4 refused
    or no such secret.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        path = f"{path_of(api, secret)}/versions"
        found = api.get(path, environment=environment, page=page, per_page=per_page)
    if as_json:
        show_json(found)
        return
    show_table(
        ("version", "environment", "current", "stored", "certificate", "expires"),
        [
            (
                row["value_version"],
                row["environment"],
                "yes" if row["is_current"] else "",
                row["created_at"],
                row.get("certificate_type"),
                row.get("certificate_expires_at"),
            )
            for row in found["data"]
        ],
        "no versions",
    )
    show_rest(found["meta"], "--page shows another")


def restore(
    *,
    secret: Which,
    version: Annotated[int, typer.Argument(min=1, help="As `coffer secrets history` shows it.")],
    environment: ItsEnvironment = None,
    if_match: IfMatch = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an old value the current one again, as a new version.

    For a secret that was deleted: `coffer secrets undelete`.

    Example: coffer secrets restore DB_PASSWORD 3

    Exit status: 0 restored, 1 tenant sealed, service busy or failing, 3 no stack found or reachable, 4
    refused, no such secret or version, or --if-match is not the current version.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        path = f"{path_of(api, secret)}/versions/{version}/restore"
        done = api.post(path, given(environment=environment), if_match=if_match)["data"]
    show_value(done, as_json=as_json)
