"""`coffer kms revoke`, `coffer kms receipt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.api import Api, ApiError
from cli.commands import AsJson, DataDir, NoWait, OtherTenant, exit_codes, show_json
from cli.connection import Stack
from cli.kms.calls import PATH, admin_api
from cli.statements import keep, show_statement

Version = Annotated[int, typer.Argument(min=1, help="The master-key version.")]
Confirm = Annotated[
    str | None,
    typer.Option(
        "--confirm", help="The tenant's slug, as a confirmation. Default: it is asked for."
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Also while data keys need it: what they protect is lost for ever."
    ),
]
ReceiptFile = Annotated[
    Path | None, typer.Option("--receipt-file", help="Write the receipt there, as JSON.")
]


def revoke(
    version: Version,
    *,
    confirm: Confirm = None,
    force: Force = False,
    receipt_file: ReceiptFile = None,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Erase a retired master-key version for ever (cryptographic erasure) and get a signed receipt.

    Refused for the active version, and without --force while stored data keys still need it. There is no
    way back. Needs a step-up token: COFFER_STEP_UP, or the development issuer makes one.

    Example: coffer kms revoke 1 --receipt-file receipt-1.json

    Exit status: 0 erased, 1 tenant sealed, service busy or failing, or not confirmed or the receipt could not
    be written, 3 no stack or token found, or not reachable, 4 refused: the message says how many data keys
    still need it.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        with admin_api(stack, tenant) as api:
            slug = confirm or _asked(api, version)
            done = api.post(
                f"{PATH}/keys/{version}/revoke",
                {"confirm": slug, "force": force},
                step_up=stack.step_up(tenant),
            )
        keep(receipt_file, done["receipt"])
    if as_json:
        show_json(done)
        return
    typer.echo(f"master key version {version} is erased")
    _show(done["receipt"])


def receipt(
    version: Version,
    *,
    receipt_file: ReceiptFile = None,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the signed receipt of an erased version again. `coffer kms check-receipt` verifies it.

    Example: coffer kms receipt 1 --json

    Exit status: 0 shown, 1 tenant sealed, service busy or failing, or it could not be written, 3 no stack
    found or reachable, 4 refused, also when that version was not revoked.
    """
    with exit_codes(), admin_api(Stack.locate(data_dir), tenant, no_wait=no_wait) as api:
        found = api.get(f"{PATH}/keys/{version}/receipt")
        keep(receipt_file, found)
    if as_json:
        show_json(found)
    else:
        _show(found)


def _asked(api: Api, version: int) -> str:
    try:
        keys = {key["version"]: key for key in api.get(PATH)["keys"]}
    except ApiError:
        keys = {}  # off-boarded tenants have versions too; the API itself says what is wrong
    if version in keys:
        key = keys[version]
        typer.echo(
            f"version {version}: {key['status']}, {key['data_keys']} data keys need it", err=True
        )
    answer: str = typer.prompt("There is no way back. Type the tenant's slug to go on", err=True)
    return answer


def _show(content: dict[str, Any]) -> None:
    show_statement(content["statement"])
    typer.echo(f"\nsigned (JWS): {content['jws']}")
