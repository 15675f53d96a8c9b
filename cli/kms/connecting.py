"""`coffer kms onboard`, `coffer kms verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cli.commands import AsJson, DataDir, NoWait, OtherTenant, exit_codes, show_json
from cli.connection import Stack
from cli.kms import keys
from cli.kms.calls import PATH, Watch, admin_api, watch_rewrap, with_step_up_if_asked
from cli.kms.keys import (
    AzureTenantId,
    ClientId,
    ClientSecretEnvVar,
    CloudOptions,
    ExternalId,
    Key,
    ProjectId,
    Region,
    RoleArn,
    ServiceAccount,
    VaultUrl,
)

if TYPE_CHECKING:
    from pathlib import Path


def onboard(
    *,
    key: Key,
    role_arn: RoleArn = None,
    external_id: ExternalId = None,
    region: Region = None,
    impersonate_service_account: ServiceAccount = None,
    project_id: ProjectId = None,
    vault_url: VaultUrl = None,
    azure_tenant_id: AzureTenantId = None,
    client_id: ClientId = None,
    client_secret_env_var: ClientSecretEnvVar = None,
    watch: Watch = False,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Connect the tenant's own cloud key, or replace the connected one, and start the rewrap to it.

    Nothing is stored unless a live wrap and unwrap with the key succeed. What the customer sets up in its
    cloud before: docs/providers. Try it first with `coffer kms verify` and the same options.

    Example: coffer kms onboard --key arn:aws:kms:eu-west-1:111122223333:key/1234abcd-...
    --role-arn arn:aws:iam::111122223333:role/coffer

    Exit status: 0 connected, 1 tenant sealed, service busy or failing, or with --watch when the rewrap did
    not complete, 2 the key has no known form, 3 no stack found or reachable, 4 refused: the hint says what is
    missing.
    """
    options = CloudOptions(
        region,
        role_arn,
        external_id,
        impersonate_service_account,
        project_id,
        vault_url,
        azure_tenant_id,
        client_id,
        client_secret_env_var,
    )
    body = keys.body(key, options)
    with exit_codes():
        stack = Stack.locate(data_dir)
        with admin_api(stack, tenant, no_wait=no_wait) as api:
            done = with_step_up_if_asked(api, stack, tenant, PATH, body)
            if as_json:
                show_json(done)
            else:
                typer.echo(f"connected {done['provider']} key {done['kms_key_ref']}")
                typer.echo(
                    f"master key version {done['new_key_version']} is active. {done['note']}"
                )
            if watch:
                watch_rewrap(api, None, quiet=as_json)


def verify(
    *,
    key: keys.OtherKey = None,
    role_arn: RoleArn = None,
    external_id: ExternalId = None,
    region: Region = None,
    impersonate_service_account: ServiceAccount = None,
    project_id: ProjectId = None,
    vault_url: VaultUrl = None,
    azure_tenant_id: AzureTenantId = None,
    client_id: ClientId = None,
    client_secret_env_var: ClientSecretEnvVar = None,
    no_wait: NoWait = False,
    tenant: OtherTenant = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Prove a key by a live wrap and unwrap, and change nothing.

    Without --key the connected one, whose outcome `coffer kms status` then shows.

    Example: coffer kms verify

    Exit status: 0 it can be used, 1 tenant sealed, service busy or failing, 2 options without --key or a key
    of no known form, 3 no stack found or reachable, 4 it cannot be used: the hint says why.
    """
    options = CloudOptions(
        region,
        role_arn,
        external_id,
        impersonate_service_account,
        project_id,
        vault_url,
        azure_tenant_id,
        client_id,
        client_secret_env_var,
    )
    if key is None and options.said:
        raise typer.BadParameter("these options belong to --key")
    done = _verified(None if key is None else keys.body(key, options), tenant, data_dir, no_wait)
    if as_json:
        show_json(done)
        return
    for check in done["checks"]:
        typer.echo(f"{'ok    ' if check['ok'] else 'failed'}  {check['name']}: {check['detail']}")
    latency = done["latency_ms"]
    typer.echo(f"wrap {latency['wrap']:.1f} ms, unwrap {latency['unwrap']:.1f} ms")


def _verified(
    body: dict[str, Any] | None, tenant: str | None, data_dir: Path | None, no_wait: bool
) -> dict[str, Any]:
    with exit_codes(), admin_api(Stack.locate(data_dir), tenant, no_wait=no_wait) as api:
        return api.post(f"{PATH}/verify", body)
