"""All three stand-in clouds in this process, for a kms of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devcloud.azure.server import AzureServer
from devcloud.customers import Clouds
from devcloud.gcp.server import GcpServer
from services.kms.cloud_settings import AzureSettings, GcpSettings
from services.kms.service import SetupFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from devcloud.aws.server import AwsServer


@dataclass(frozen=True)
class ThreeClouds:
    """Where customers are made, and what `running_kms` is to be told."""

    customers: Clouds
    settings: dict[str, Any]


@contextlib.contextmanager
def three_clouds(aws: AwsServer, env: pytest.MonkeyPatch) -> Iterator[ThreeClouds]:
    """Google's and Azure's beside the AWS that runs already, and kms's identities in the environment."""
    with (
        GcpServer.seeded() as gcp,
        AzureServer.seeded() as azure,
        Clouds(aws.control(), gcp.control(), azure.control()) as customers,
    ):
        google, microsoft = gcp.announcement(), azure.announcement()
        env.setenv("GCE_METADATA_HOST", google["gcp_metadata_host"])
        env.setenv("CLOUDSDK_CONFIG", "/nowhere")
        env.setenv("AZURE_FEDERATED_TOKEN_FILE", microsoft["azure_federated_token_file"])
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT"):
            env.delenv(name, raising=False)
        settings = {
            "setup": SetupFacts(
                aws_principal_arn=aws.announcement()["aws_principal_arn"],
                gcp_principal=google["gcp_principal"],
                azure_application_id=microsoft["azure_application_id"],
            ),
            "gcp": GcpSettings(
                google["gcp_kms_endpoint"],
                google["gcp_iam_endpoint_url"],
                Path(google["gcp_ca_file"]),
            ),
            "azure": AzureSettings(
                microsoft["azure_vault_endpoint_url"],
                microsoft["azure_authority_url"],
                Path(microsoft["azure_ca_file"]),
            ),
        }
        yield ThreeClouds(customers, settings)
