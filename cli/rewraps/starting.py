"""`coffer rewraps start`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from cli.commands import AsJson, DataDir, NoWait, OtherTenant, exit_codes, show_json
from cli.rewraps.calls import MAX_THROTTLE, PATH, rewraps_api
from cli.rewraps.watching import follow


def start(
    *,
    throttle: Annotated[
        int | None,
        typer.Option(
            min=1, max=MAX_THROTTLE, metavar="N", help="At most so many data keys per second."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it until it ends.")] = False,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move what is still under an older master key to the active one: after one was cancelled or failed.

    Connecting and rotating a key start a rewrap by themselves.

    Example: coffer rewraps start --throttle 500 --watch

    Exit status: 0 started, 1 tenant sealed, service busy or failing, or with --watch when it did not
    complete, 2 a throttle out of range, 3 no stack found or reachable, 4 refused, also while another rewrap
    has not ended.
    """
    with exit_codes(), rewraps_api(data_dir, tenant, no_wait=no_wait) as api:
        body = {} if throttle is None else {"throttle_per_second": throttle}
        lease = api.post(PATH, body)
        if as_json:
            show_json(lease)
        else:
            typer.echo(f"rewrap {lease['id']} to version {lease['target_version']} has begun")
        if watch:
            console = Console(stderr=as_json, highlight=False)
            follow(api, lease["id"], None, console, quiet=as_json)
