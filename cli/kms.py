"""`coffer kms`: the tenant's own cloud key and its master keys."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from cli.api import Api
from cli.commands import (
    AsJson,
    DataDir,
    OtherTenant,
    exit_codes,
    group,
    show_facts,
    show_json,
    show_table,
)
from cli.connection import Stack

PATH: Final = "/admin/tenant-kms"
_ARN_PARTS: Final = 6

KeyArn = Annotated[str, typer.Option("--key-arn", help="ARN of the key or alias.")]
RoleArn = Annotated[str, typer.Option("--role-arn", help="ARN of the role to assume.")]
ExternalId = Annotated[
    str | None, typer.Option("--external-id", help="Default: the tenant's issued one.")
]
Region = Annotated[str | None, typer.Option("--region", help="Default: the ARN's.")]


def application() -> typer.Typer:
    """`coffer kms` with its commands."""
    app = group("The tenant's own cloud key, and its master keys.")
    app.command("status")(status)
    app.command("setup")(setup)
    app.command("connect-aws")(connect_aws)
    app.command("verify")(verify)
    app.command("rotate")(rotate)
    return app


def status(tenant: OtherTenant = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the connected key, whether it can be used, and every master-key version.

    Example: coffer kms status

    Exit status: 0 shown, 3 no stack found or reachable, 4 refused, also when no key is connected.
    """
    with exit_codes(), _api(Stack.locate(data_dir), tenant) as api:
        found = api.get(PATH)
    if as_json:
        show_json(found)
        return
    config = found["config"]
    details = ((name, value) for name, value in (config["config"] or {}).items())
    show_facts(
        [
            ("provider", config["provider"]),
            ("key", config["kms_key_ref"]),
            *details,
            ("sealed since", config["sealed_since"]),
            ("last verified", config["last_verified_at"]),
            ("last error", config["last_verify_error"]),
        ]
    )
    typer.echo()
    show_table(
        ("version", "status", "wrapped by", "data keys", "created", "retired"),
        [
            (
                key["version"],
                key["status"],
                key["wrap_method"],
                key["data_keys"],
                key["created_at"],
                key["retired_at"],
            )
            for key in found["keys"]
        ],
        "no master keys yet",
    )


def setup(tenant: OtherTenant = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show what the customer needs for its own side: our principal, the external id.

    Example: coffer kms setup --json

    Exit status: 0 shown, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), _api(Stack.locate(data_dir), tenant) as api:
        found = api.get(f"{PATH}/setup")
    if as_json:
        show_json(found)
        return
    show_facts(
        (f"{provider} {name}", value)
        for provider, facts in found.items()
        for name, value in (facts or {"": None}).items()
    )


def connect_aws(
    *,
    key_arn: KeyArn,
    role_arn: RoleArn,
    external_id: ExternalId = None,
    region: Region = None,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Connect an AWS KMS key, or replace the connected one, and start the rewrap to it.

    Nothing is stored unless a live wrap and unwrap through the role succeed.

    Example: coffer kms connect-aws --key-arn arn:aws:kms:eu-west-1:111122223333:key/1234abcd-...
    --role-arn arn:aws:iam::111122223333:role/coffer

    Exit status: 0 connected, 3 no stack found or reachable, 4 refused: the hint says what is missing.
    """
    body = aws_body(key_arn, role_arn, external_id, region)
    with exit_codes(), _api(Stack.locate(data_dir), tenant) as api:
        done = api.post(PATH, body)
    if as_json:
        show_json(done)
    else:
        version, note = done["new_key_version"], done["note"]
        typer.echo(f"connected; master key version {version} is active; {note}")


def verify(
    *,
    key_arn: Annotated[
        str | None, typer.Option("--key-arn", help="Try this key. Default: the connected one.")
    ] = None,
    role_arn: Annotated[str | None, typer.Option("--role-arn", help="Through this role.")] = None,
    external_id: ExternalId = None,
    region: Region = None,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Prove a key by a live wrap and unwrap, and store nothing.

    Example: coffer kms verify

    Exit status: 0 it can be used, 2 only one of --key-arn and --role-arn, 3 no stack found or
    reachable, 4 it cannot: the hint says why.
    """
    if (key_arn is None) != (role_arn is None):
        raise typer.BadParameter("--key-arn and --role-arn belong together")
    body = None
    if key_arn is not None and role_arn is not None:
        body = aws_body(key_arn, role_arn, external_id, region)
    with exit_codes(), _api(Stack.locate(data_dir), tenant) as api:
        done = api.post(f"{PATH}/verify", body)
    if as_json:
        show_json(done)
        return
    for check in done["checks"]:
        typer.echo(f"{'ok    ' if check['ok'] else 'failed'}  {check['name']}: {check['detail']}")
    latency = done["latency_ms"]
    typer.echo(f"wrap {latency['wrap']:.1f} ms, unwrap {latency['unwrap']:.1f} ms")


def rotate(tenant: OtherTenant = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make a new master key under the same cloud key, and start the rewrap to it.

    Needs a step-up token: COFFER_STEP_UP, or the development issuer of the data directory makes one.

    Example: coffer kms rotate && coffer rewraps watch

    Exit status: 0 rotated, 3 no stack or token found, or not reachable, 4 refused.
    """
    with exit_codes():
        stack = Stack.locate(data_dir)
        with _api(stack, tenant) as api:
            done = api.post(f"{PATH}/rotate", step_up=stack.step_up(tenant))
    if as_json:
        show_json(done)
    else:
        version, lease = done["new_version"], done["rewrap_lease_id"]
        typer.echo(f"master key version {version} is active; rewrap {lease} has begun")


def aws_body(
    key_arn: str, role_arn: str, external_id: str | None, region: str | None
) -> dict[str, Any]:
    """The body of onboarding and verify; the region is the ARN's unless another is said."""
    parts = key_arn.split(":")
    own = parts[3] if len(parts) >= _ARN_PARTS else ""
    config = {"region": region or own, "role_arn": role_arn}
    if external_id is not None:
        config["external_id"] = external_id
    return {"provider": "aws", "kms_key_ref": key_arn, "config": config}


def _api(stack: Stack, tenant: str | None) -> Api:
    return Api(stack.base_url(), stack.admin_jwt(tenant))
