"""`coffer kms`: the tenant's own cloud key and its master keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.commands import group
from cli.kms.connecting import onboard, verify
from cli.kms.erasing import receipt, revoke
from cli.kms.leaving import offboard
from cli.kms.looking import setup, status
from cli.kms.receipts import check_receipt
from cli.kms.rekeying import rekey_platform
from cli.kms.turning import rotate, unseal

if TYPE_CHECKING:
    import typer


def application() -> typer.Typer:
    """`coffer kms` with its commands."""
    app = group("The tenant's own cloud key, and its master keys.")
    for command in (setup, onboard, status, verify, rotate, unseal, revoke, receipt, offboard):
        app.command(command.__name__)(command)
    app.command("check-receipt")(check_receipt)
    app.command("rekey-platform")(rekey_platform)
    return app
