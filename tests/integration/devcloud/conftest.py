from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.aws.server import AwsServer
from devcloud.azure.server import AzureServer
from devcloud.gcp.server import GcpServer
from tests.integration.devcloud.azure_stand import AzureStand
from tests.integration.devcloud.gcp_stand import GcpStand
from tests.integration.devcloud.stand import Stand

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stand() -> Iterator[Stand]:
    with AwsServer.seeded(external_id="coffer-tenant-1") as server, server.control() as control:
        stand = Stand(server.url, server.announcement(), control)
        yield stand
        stand.close()


@pytest.fixture(scope="session")
def gcp_server() -> Iterator[GcpServer]:
    with GcpServer.seeded() as server:
        yield server


@pytest.fixture
def gcp(gcp_server: GcpServer) -> Iterator[GcpStand]:
    """A customer of its own for every test, on one server: faults and states hit nobody else."""
    with gcp_server.control() as control:
        customer = control.create_customer()
        stand = GcpStand(
            {
                **gcp_server.announcement(),
                "gcp_key": customer.key,
                "gcp_service_account": customer.service_account,
            },
            control,
        )
        yield stand
        stand.close()


@pytest.fixture(scope="session")
def azure_server() -> Iterator[AzureServer]:
    with AzureServer.seeded() as server:
        yield server


@pytest.fixture
def azure(azure_server: AzureServer) -> Iterator[AzureStand]:
    """A customer of its own for every test, on one server: states and faults hit nobody else."""
    with azure_server.control() as control:
        customer = control.create_customer()
        stand = AzureStand(
            {
                **azure_server.announcement(),
                "azure_tenant_id": customer.tenant_id,
                "azure_vault_url": customer.vault_url,
                "azure_key": customer.key,
            },
            control,
        )
        yield stand
        stand.close()
        control.clear_faults()
