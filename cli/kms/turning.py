"""`coffer kms rotate`, `coffer kms unseal`."""

from __future__ import annotations

import typer

from cli.commands import AsJson, DataDir, OtherTenant, exit_codes, show_json
from cli.connection import Stack
from cli.kms.calls import PATH, Watch, admin_api, watch_rewrap


def rotate(
    *,
    watch: Watch = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a new master key under the same cloud key, and start the rewrap to it.

    Needs a step-up token: COFFER_STEP_UP, or the development issuer of the data directory makes one.

    Example: coffer kms rotate --watch

    Exit status: 0 rotated, 1 tenant sealed, service busy or failing, or with --watch when the rewrap did not
    complete, 3 no stack or token found, or not reachable, 4 refused.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        with admin_api(stack, tenant) as api:
            done = api.post(f"{PATH}/rotate", step_up=stack.step_up(tenant))
            version, lease = done["new_version"], done["rewrap_lease_id"]
            if as_json:
                show_json(done)
            else:
                typer.echo(f"master key version {version} is active; rewrap {lease} has begun")
            if watch:
                watch_rewrap(api, lease, quiet=as_json)


def unseal(tenant: OtherTenant = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Try a sealed key now instead of waiting for the next automatic try (every 30 s).

    Needs a step-up token: COFFER_STEP_UP, or the development issuer of the data directory makes one.

    Example: coffer kms unseal

    Exit status: 0 it can be used again, 1 tenant sealed, service busy or failing, or it still cannot: the
    hint says why, 3 no stack or token found, or not reachable, 4 refused, also when nothing is sealed.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        with admin_api(stack, tenant) as api:
            done = api.post(f"{PATH}/unseal", step_up=stack.step_up(tenant))
    if as_json:
        show_json(done)
    else:
        typer.echo("unsealed: the key can be used again")
