"""Naming a customer's key on the command line: options, and the body that the API wants. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

_ARN_PARTS: Final = 6

Key = Annotated[
    str,
    typer.Option(
        "--key",
        help="AWS: ARN of the key or alias. Google Cloud: projects/P/locations/L/keyRings/R/cryptoKeys/K."
        " Azure: https://VAULT.vault.azure.net/keys/NAME.",
    ),
]
OtherKey = Annotated[
    str | None,
    typer.Option(
        "--key", help="Try this key, in the form of `onboard`. Default: the connected one."
    ),
]
RoleArn = Annotated[
    str | None, typer.Option("--role-arn", help="AWS: ARN of the role to assume. Required there.")
]
ExternalId = Annotated[
    str | None, typer.Option("--external-id", help="AWS. Default: the tenant's issued one.")
]
Region = Annotated[str | None, typer.Option("--region", help="AWS. Default: the ARN's.")]
ServiceAccount = Annotated[
    str | None,
    typer.Option(
        "--impersonate-service-account",
        help="Google Cloud: e-mail of the service account to act as. Required there.",
    ),
]
ProjectId = Annotated[
    str | None, typer.Option("--project-id", help="Google Cloud: the project to charge.")
]
VaultUrl = Annotated[str | None, typer.Option("--vault-url", help="Azure. Default: the key's.")]
AzureTenantId = Annotated[
    str | None, typer.Option("--azure-tenant-id", help="Azure: the directory (tenant) id.")
]
ClientId = Annotated[
    str | None, typer.Option("--client-id", help="Azure: the application (client) id.")
]
ClientSecretEnvVar = Annotated[
    str | None,
    typer.Option(
        "--client-secret-env-var",
        help="Azure: NAME of a variable of kms that the operator allows for this tenant.",
    ),
]


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """What else the command line said; None where it said nothing."""

    region: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    impersonate_service_account: str | None = None
    project_id: str | None = None
    vault_url: str | None = None
    azure_tenant_id: str | None = None
    client_id: str | None = None
    client_secret_env_var: str | None = None

    @property
    def said(self) -> dict[str, str]:
        """Only what was said."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def body(key: str, options: CloudOptions) -> dict[str, Any]:
    """The body of onboarding and verify.

    The provider is told by the form of the key. Everything that was said is sent, so that the API refuses
    what does not belong to it. Raises typer.BadParameter for a key of no known form.
    """
    provider, derived = _recognise(key)
    return {"provider": provider, "kms_key_ref": key, "config": derived | options.said}


def _recognise(key: str) -> tuple[str, dict[str, str]]:
    if key.startswith("arn:"):
        parts = key.split(":")
        return "aws", {"region": parts[3] if len(parts) >= _ARN_PARTS else ""}
    if key.startswith("projects/"):
        return "gcp", {}
    if key.startswith("https://"):
        return "azure", {"vault_url": f"https://{urlsplit(key).netloc}"}
    raise typer.BadParameter(
        "--key must be an AWS ARN (arn:...), a Google Cloud key (projects/...) or an Azure key"
        " (https://VAULT.vault.azure.net/keys/NAME)"
    )
