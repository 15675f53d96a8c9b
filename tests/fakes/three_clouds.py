"""All three stand-in clouds in this process, for a kms of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devcloud.azure.server import AzureServer
from devcloud.customers import Clouds
from devcloud.gcp.server import GcpServer
from services.kms.service import SetupFacts
from tests.fakes.cloud_operators import (
    azure_settings,
    be_operator_of_azure,
    be_operator_of_gcp,
    gcp_settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from devcloud.aws.server import AwsServer


@dataclass(frozen=True)
class ThreeClouds:
    """Where customers are made, and what `running_kms` is to be told."""

    customers: Clouds
    settings: dict[str, Any]
    gcp: GcpServer
    azure: AzureServer


@contextlib.contextmanager
def three_clouds(aws: AwsServer, env: pytest.MonkeyPatch) -> Iterator[ThreeClouds]:
    """Google's and Azure's beside the AWS that runs already, and kms's identities in the environment."""
    with (
        GcpServer.seeded() as gcp,
        AzureServer.seeded() as azure,
        Clouds(aws.control(), gcp.control(), azure.control()) as customers,
    ):
        be_operator_of_gcp(env, gcp)
        be_operator_of_azure(env, azure)
        settings = {
            "setup": SetupFacts(
                aws_principal_arn=aws.announcement()["aws_principal_arn"],
                gcp_principal=gcp.announcement()["gcp_principal"],
                azure_application_id=azure.announcement()["azure_application_id"],
            ),
            "gcp": gcp_settings(gcp),
            "azure": azure_settings(azure),
        }
        yield ThreeClouds(customers, settings, gcp, azure)
