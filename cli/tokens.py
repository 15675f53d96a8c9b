"""`coffer token`: tokens of the development issuer of a data directory."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from cli.commands import AsJson, DataDir, OfTenant, exit_codes, group, show_json
from cli.connection import Stack
from cli.local.issuer import ADMIN_SECONDS, STEP_UP_SECONDS

_SUBJECT: Final = "dev-owner"


class Role(StrEnum):
    """Roles of an administrator."""

    OWNER = "owner"
    ADMIN = "admin"
    VIEWER = "viewer"


Subject = Annotated[str, typer.Option(help="Who the token is of.")]


def application() -> typer.Typer:
    """`coffer token` with its commands."""
    app = group("Tokens of the development issuer. A deployment uses its own identity provider.")
    app.command("admin")(admin)
    app.command("step-up")(step_up)
    return app


def admin(
    *,
    tenant: OfTenant,
    role: Annotated[Role, typer.Option(help="What the bearer may do.")] = Role.OWNER,
    subject: Subject = _SUBJECT,
    seconds: Annotated[
        int, typer.Option(min=1, max=30 * ADMIN_SECONDS, help="How long it is valid.")
    ] = ADMIN_SECONDS,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print a token for /admin on one tenant.

    Example: curl -H "Authorization: Bearer $(coffer token admin --tenant demo)" $URL/admin/tenant-kms

    Exit status: 0 printed, 3 no development issuer, 4 no such tenant.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        tenant_id = stack.tenant_id(tenant)
        token = stack.issuer().admin(tenant_id, role=role.value, subject=subject, seconds=seconds)
    _show(token, tenant_id, seconds, as_json=as_json)


def step_up(
    tenant: OfTenant,
    subject: Subject = _SUBJECT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print a token that says its subject has just authenticated again. It works once.

    Example: curl -X POST -H "X-KnoxCall-StepUp: $(coffer token step-up --tenant demo)" ...

    Exit status: 0 printed, 3 no development issuer, 4 no such tenant.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        tenant_id = stack.tenant_id(tenant)
        token = stack.issuer().step_up(tenant_id, subject=subject)
    _show(token, tenant_id, STEP_UP_SECONDS, as_json=as_json)


def _show(token: str, tenant_id: str, seconds: int, *, as_json: bool) -> None:
    if as_json:
        show_json({"token": token, "tenant_id": tenant_id, "expires_in": seconds})
    else:
        typer.echo(token)
