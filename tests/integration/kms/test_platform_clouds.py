"""The platform's own key in each of the three clouds, used by kms as itself, and moved on."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from coffer.kms.v1 import kms_pb2

from services.kms.cloud_settings import OperatorKeySettings
from tests.fakes.kms_stand import called, refused, running_kms, until
from tests.fakes.three_clouds import three_clouds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from devcloud.azure.control import AzureControl
    from devcloud.gcp.control import GcpControl
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

REGION = "eu-central-1"


@dataclass
class Clouds:
    """The operator's own key in each, and the settings that lead there."""

    keys: dict[str, OperatorKeySettings]
    settings: dict[str, Any]
    gcp: GcpControl
    azure: AzureControl

    def rotate(self, provider: str) -> None:
        """A new version of the operator's key."""
        self._control(provider).rotate(self.keys[provider].kms_key_ref)

    def disable(self, provider: str) -> None:
        self._control(provider).disable(self.keys[provider].kms_key_ref)

    def enable(self, provider: str) -> None:
        self._control(provider).enable(self.keys[provider].kms_key_ref)

    def _control(self, provider: str) -> GcpControl | AzureControl:
        return self.gcp if provider == "gcp" else self.azure


@pytest.fixture
def clouds(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clouds]:
    with (
        three_clouds(aws, monkeypatch) as running,
        running.gcp.control() as gcp,
        running.azure.control() as azure,
    ):
        google, microsoft = running.gcp.announcement(), running.azure.announcement()
        with aws.control() as control:
            arn = control.create_key(account="111122223333", region=REGION).arn
        azure_config = {
            "vault_url": microsoft["azure_operator_vault_url"],
            "azure_tenant_id": microsoft["azure_operator_tenant_id"],
        }
        yield Clouds(
            keys={
                "aws": OperatorKeySettings("aws", arn, {"region": REGION}),
                "gcp": OperatorKeySettings("gcp", google["gcp_operator_key"], {}),
                "azure": OperatorKeySettings(
                    "azure", microsoft["azure_operator_key"], azure_config
                ),
            },
            settings=running.settings,
            gcp=gcp,
            azure=azure,
        )


async def rekey(kms: KmsStand) -> tuple[int, int, int]:
    request = kms_pb2.RekeyPlatformRequest(limit=100)
    done = await called(kms.stub("operator").RekeyPlatform(request, timeout=60))
    return done.rewrapped, done.current, done.failed


async def stored(kms: KmsStand) -> tuple[UUID, tuple[bytes, bytes], bytes]:
    tenant = kms.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
    key = (await kms.generate(tenant)).data_keys[0]
    return tenant, (key.id, key.wrapped), key.plaintext


async def test_the_key_moves_through_all_clouds_and_home_and_everything_opens(
    database: TestDatabase, pki: TestPki, aws: AwsServer, clouds: Clouds
) -> None:
    kept: list[tuple[UUID, tuple[bytes, bytes], bytes]] = []
    previous: OperatorKeySettings | None = None
    for provider in ("aws", "gcp", "azure", None):
        present = clouds.keys[provider] if provider else None
        async with running_kms(
            database,
            pki,
            aws,
            operator_key=present,
            previous_operator_key=previous,
            **clouds.settings,
        ) as kms:
            for tenant, key, plaintext in kept:
                assert (await kms.unwrap(tenant, key)).results[0].plaintext == plaintext
            kept.append(await stored(kms))
            assert await rekey(kms) == (len(kept) - 1, 1, 0)
        previous = present
    async with running_kms(database, pki, aws) as kms:
        for tenant, key, plaintext in kept:
            assert (await kms.unwrap(tenant, key)).results[0].plaintext == plaintext


@pytest.mark.parametrize("provider", ["gcp", "azure"])
async def test_a_new_version_of_the_cloud_key_is_followed_and_a_disabled_key_heals(
    database: TestDatabase, pki: TestPki, aws: AwsServer, clouds: Clouds, provider: str
) -> None:
    told = clouds.settings | {"operator_key": clouds.keys[provider]}
    async with running_kms(database, pki, aws, **told) as kms:
        tenant, key, plaintext = await stored(kms)
        assert await rekey(kms) == (0, 1, 0)
        await asyncio.to_thread(clouds.rotate, provider)
        assert await rekey(kms) == (1, 0, 0)
        assert await rekey(kms) == (0, 1, 0)
    refs = database.rows("select provider_key_version from kms.master_key")
    assert len(refs) == 1
    assert str(refs[0][0]).startswith(f"{clouds.keys[provider].kms_key_ref}/")
    await asyncio.to_thread(clouds.disable, provider)
    async with running_kms(database, pki, aws, **told) as kms:
        opened = await kms.unwrap(tenant, key)
        assert opened.results[0].fault == kms_pb2.DATA_KEY_FAULT_SEALED
        error = await refused("tenant_sealed", kms.generate(tenant))
        assert (error.http_status, error.reason) == (503, "key_disabled")
        await asyncio.to_thread(clouds.enable, provider)

        async def healed() -> bool:
            return (await kms.unwrap(tenant, key)).results[0].plaintext == plaintext

        await until(healed, 10.0, "the operator's key is used again")
