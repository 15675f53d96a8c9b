"""Being the operator of a stand-in cloud: its identity in the environment, the settings that lead there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from services.kms.cloud_settings import AzureSettings, GcpSettings

if TYPE_CHECKING:
    import pytest

    from devcloud.aws.server import AwsServer
    from devcloud.azure.server import AzureServer
    from devcloud.gcp.server import GcpServer


def be_operator_of_aws(env: pytest.MonkeyPatch, server: AwsServer) -> None:
    told = server.announcement()
    env.setenv("AWS_ACCESS_KEY_ID", told["aws_access_key_id"])
    env.setenv("AWS_SECRET_ACCESS_KEY", told["aws_secret_access_key"])
    env.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        env.delenv(name, raising=False)


def be_operator_of_gcp(env: pytest.MonkeyPatch, server: GcpServer) -> None:
    """The stand-in's metadata server as this process's machine."""
    env.setenv("GCE_METADATA_HOST", server.announcement()["gcp_metadata_host"])
    env.setenv("CLOUDSDK_CONFIG", "/nowhere")  # whoever runs the tests may be logged in
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT", "NO_GCE_CHECK"):
        env.delenv(name, raising=False)


def be_operator_of_azure(env: pytest.MonkeyPatch, server: AzureServer) -> None:
    """A federated token, as in Kubernetes."""
    file = server.announcement()["azure_federated_token_file"]
    env.setenv("AZURE_FEDERATED_TOKEN_FILE", file)


def gcp_settings(server: GcpServer) -> GcpSettings:
    told = server.announcement()
    return GcpSettings(
        kms_endpoint=told["gcp_kms_endpoint"],
        iam_endpoint_url=told["gcp_iam_endpoint_url"],
        ca_file=Path(told["gcp_ca_file"]),
    )


def azure_settings(server: AzureServer) -> AzureSettings:
    told = server.announcement()
    return AzureSettings(
        vault_endpoint_url=told["azure_vault_endpoint_url"],
        authority_url=told["azure_authority_url"],
        ca_file=Path(told["azure_ca_file"]),
    )
