"""`coffer kms offboard`."""

from __future__ import annotations

import typer

from cli.commands import AsJson, DataDir, OtherTenant, Yes, confirm, exit_codes, show_json
from cli.connection import Stack
from cli.kms.calls import PATH, Watch, admin_api, watch_rewrap


def offboard(
    *,
    yes: Yes = False,
    watch: Watch = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the platform's key: new values are under it at once, stored ones move to it.

    The customer's key stays connected, draining, and goes on opening what has not moved yet: keep the grant
    until `coffer kms status` says that no key is connected. From then on it opens nothing any more. Needs a
    step-up token: COFFER_STEP_UP, or the development issuer makes one.

    Example: coffer kms offboard --watch

    Exit status: 0 begun (with --watch: completed), 1 tenant sealed, service busy or failing, or not
    confirmed, or with --watch the rewrap did not complete, 3 no stack or token found, or not reachable, 4
    refused, also when no key is connected.
    """
    confirm(
        "This tenant's data goes back under the platform's own key, which then opens it. Go on?",
        yes=yes,
    )
    with exit_codes():
        stack = Stack.locate(data_dir)
        with admin_api(stack, tenant) as api:
            done = api.delete(PATH, step_up=stack.step_up(tenant))
            version, lease = done["new_key_version"], done["rewrap_lease_id"]
            if as_json:
                show_json(done)
            else:
                typer.echo(
                    f"master key version {version}, wrapped by the platform's key, is active;"
                    f" rewrap {lease} has begun. Keep the grant on your key until it has ended."
                )
            if watch:
                watch_rewrap(api, lease, quiet=as_json)
