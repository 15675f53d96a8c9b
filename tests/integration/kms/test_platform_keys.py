"""The platform's own key is turned, moved into a cloud and back; the old one then opens nothing."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from services.common.sensitive import SecretBytes
from services.kms.cloud_settings import OperatorKeySettings
from tests.fakes.kms_stand import called, onboarding, refused, running_kms, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
STRANGERS = ("gateway", "secrets", "rewrap", "kms", "consumer/dev")


@pytest.fixture
def platform(database: TestDatabase, pki: TestPki, aws: AwsServer) -> Platform:
    return Platform(database, pki, aws)


@dataclass
class Platform:
    """One database, on which one kms process after another runs; what its tenants have stored."""

    database: TestDatabase
    pki: TestPki
    aws: AwsServer
    stored: dict[UUID, tuple[bytes, bytes, bytes]] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def kms(
        self, key: bytes, previous: bytes | None = None, **told: Any
    ) -> AsyncIterator[KmsStand]:
        async with running_kms(
            self.database,
            self.pki,
            self.aws,
            master_key=key,
            previous_master_key=SecretBytes(previous) if previous else None,
            **told,
        ) as kms:
            yield kms

    async def store(self, kms: KmsStand, tenants: int) -> list[UUID]:
        """New tenants, each with a data key."""
        made = [self.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}") for _ in range(tenants)]
        for tenant in made:
            key = (await kms.generate(tenant)).data_keys[0]
            self.stored[tenant] = (key.id, key.wrapped, key.plaintext)
        return made

    async def opened(self, kms: KmsStand) -> int:
        """How many tenants' data keys open; the others' must be sealed."""
        count = 0
        for tenant, (key_id, wrapped, plaintext) in self.stored.items():
            [result] = (await kms.unwrap(tenant, (key_id, wrapped))).results
            if result.plaintext:
                assert result.plaintext == plaintext
                count += 1
            else:
                assert result.fault == kms_pb2.DATA_KEY_FAULT_SEALED
        return count

    def methods(self) -> dict[str, int]:
        query = "select wrap_method, count(*)::int from kms.master_key group by 1"
        return {str(method): int(str(count)) for method, count in self.database.rows(query)}

    def untouched(self) -> list[tuple[object, ...]]:
        """What a rekey must leave alone."""
        keys = (
            "select tenant_id, version, id, binding_id, check_value, status, created_at, retired_at"
            " from kms.master_key order by 1, 2"
        )
        rings = (
            "select tenant_id, next_version, epoch, current_binding_id from kms.key_ring order by 1"
        )
        leases = "select count(*) from rewrap.lease"
        return [row for query in (keys, rings, leases) for row in self.database.rows(query)]


async def page(kms: KmsStand, cursor: str = "", limit: int = 1000) -> Any:
    request = kms_pb2.RekeyPlatformRequest(cursor=cursor, limit=limit)
    return await called(kms.stub("operator").RekeyPlatform(request, timeout=60))


async def rekey(kms: KmsStand, limit: int = 1000) -> tuple[int, int, int]:
    """Every page; (rewrapped, current, failed)."""
    cursor, counts = "", [0, 0, 0]
    while True:
        done = await page(kms, cursor, limit)
        assert limit >= done.examined >= done.rewrapped + done.current + done.failed
        for at, count in enumerate((done.rewrapped, done.current, done.failed)):
            counts[at] += count
        cursor = done.next_cursor
        if not cursor:
            return counts[0], counts[1], counts[2]


async def erase(kms: KmsStand, tenant: UUID) -> None:
    """Revoke a tenant's version 1."""
    [(slug,)] = kms.database.rows("select slug from tenancy.tenant where tenant_id = %s", (tenant,))
    request = kms_pb2.RevokeKeyVersionRequest(version=1, confirm=str(slug))
    step_up = kms.pki.issuer.step_up_token(tenant)
    await kms.admin("RevokeKeyVersion", tenant, request, step_up=step_up)


def operator_key(config: dict[str, Any], key_ref: str) -> OperatorKeySettings:
    return OperatorKeySettings("aws", key_ref, config)


async def in_aws(kms_cloud: Control) -> OperatorKeySettings:
    """A key in the operator's own account, which kms uses as itself."""
    region = "eu-central-1"
    key = await asyncio.to_thread(kms_cloud.create_key, account="111122223333", region=region)
    return operator_key({"region": region}, key.arn)


async def test_after_a_rekey_the_new_key_alone_opens_all_and_the_old_one_nothing(
    platform: Platform,
) -> None:
    async with platform.kms(OLD) as kms:
        await platform.store(kms, 3)
    before = platform.untouched()
    async with platform.kms(NEW, OLD) as kms:
        assert await platform.opened(kms) == 3, "the previous key opens while it is there"
        assert await rekey(kms, limit=2) == (3, 0, 0)
        assert await rekey(kms, limit=1) == (0, 3, 0), "a second run has nothing to do"
        assert (await page(kms)).total == 3
    assert platform.untouched() == before
    async with platform.kms(NEW) as kms:
        assert await platform.opened(kms) == 3
    async with platform.kms(OLD) as kms:
        assert await platform.opened(kms) == 0
        assert await rekey(kms) == (0, 0, 3)
    events = platform.database.rows(
        "select actor, details::json ->> 'old_wrap_method', details::json ->> 'wrap_method',"
        " details::json ->> 'version' from audit.event where action = 'kms.key.rewrapped_by_platform'"
    )
    assert events == [("service:operator", "global", "global", "1")] * 3


async def test_the_key_moves_into_a_cloud_to_another_key_there_and_back(
    platform: Platform, cloud: Control
) -> None:
    first, second = await in_aws(cloud), await in_aws(cloud)
    async with platform.kms(OLD) as kms:
        await platform.store(kms, 2)
    async with platform.kms(OLD, operator_key=first) as kms:
        await platform.store(kms, 1)
        assert platform.methods() == {"global": 2, "operator_kms": 1}
        assert await platform.opened(kms) == 3
        assert await rekey(kms) == (2, 1, 0)
    refs = platform.database.rows("select distinct provider_key_version from kms.master_key")
    assert refs == [(first.kms_key_ref,)]
    async with platform.kms(NEW, operator_key=second, previous_operator_key=first) as kms:
        assert await platform.opened(kms) == 3, "no need of the key that was there before"
        assert await rekey(kms) == (3, 0, 0)
    await asyncio.to_thread(cloud.disable, first.kms_key_ref)
    async with platform.kms(NEW, previous_operator_key=second) as kms:
        assert await platform.opened(kms) == 3
        assert await rekey(kms) == (3, 0, 0)
        await platform.store(kms, 1)
    assert platform.methods() == {"global": 4}
    await asyncio.to_thread(cloud.disable, second.kms_key_ref)
    async with platform.kms(NEW) as kms:
        assert await platform.opened(kms) == 4


async def test_a_role_may_use_the_operators_key_and_a_moved_alias_is_followed(
    platform: Platform, cloud: Control
) -> None:
    owner = await asyncio.to_thread(cloud.create_customer, external_id="coffer-own")
    config = {"region": owner.region, "role_arn": owner.role_arn, "external_id": "coffer-own"}
    told = operator_key(config, owner.alias_arn)
    async with platform.kms(OLD, operator_key=told) as kms:
        await platform.store(kms, 1)
        assert await rekey(kms) == (0, 1, 0)
        other = await asyncio.to_thread(
            cloud.create_key, account=owner.account, region=owner.region
        )
        await asyncio.to_thread(cloud.point_alias, "alias/coffer", other.arn)
    async with platform.kms(OLD, operator_key=told) as kms:
        assert await platform.opened(kms) == 1, (
            "by the key that wrapped it, whatever the alias says"
        )
        assert await rekey(kms) == (1, 0, 0)
    refs = platform.database.rows("select provider_key_version from kms.master_key")
    assert refs == [(other.arn,)]


async def test_a_refused_operator_key_is_not_asked_by_each_request_and_heals_by_itself(
    platform: Platform, cloud: Control
) -> None:
    told = await in_aws(cloud)
    async with platform.kms(OLD, operator_key=told) as kms:
        [settled] = await platform.store(kms, 1)
        own = platform.database.create_tenant("own-key")
        customer = await asyncio.to_thread(cloud.create_customer, external_id=f"coffer-{own}")
        await kms.put(own, onboarding(customer))
        await platform.store(kms, 1)
    await asyncio.to_thread(cloud.disable, told.kms_key_ref)
    async with platform.kms(OLD, operator_key=told, sealed_retry=30.0) as kms:
        newcomers = [platform.database.create_tenant(f"new-{number}") for number in range(5)]
        await asyncio.to_thread(cloud.reset_ledger)
        for _ in range(4):
            assert await platform.opened(kms) == 0
            for newcomer in newcomers:
                error = await refused("tenant_sealed", kms.generate(newcomer))
                assert (error.http_status, error.reason) == (503, "key_disabled")
                assert error.retry_after
        asked = await asyncio.to_thread(cloud.count, None, told.kms_key_ref)
        assert asked <= 4, "one unwrap and one wrap, each tried at most twice"
        await kms.generate(own)
        with pytest.raises(Exception, match="could not be used") as caught:
            await page(kms)
        assert getattr(caught.value, "reason", None) == "key_disabled"
    async with platform.kms(OLD, operator_key=told, sealed_retry=0.2) as kms:
        assert await platform.opened(kms) == 0
        await asyncio.to_thread(cloud.enable, told.kms_key_ref)

        async def healed() -> bool:
            return await platform.opened(kms) == len(platform.stored)

        await until(healed, 10.0, "the operator's key is used again")
        await kms.generate(settled)


async def test_a_crowd_of_first_requests_makes_one_key_by_one_pair_of_calls(
    platform: Platform, cloud: Control
) -> None:
    told = await in_aws(cloud)
    tenant = platform.database.create_tenant("crowd")
    async with platform.kms(OLD, operator_key=told) as kms:
        await asyncio.to_thread(cloud.reset_ledger)
        replies = await asyncio.gather(*(kms.generate(tenant) for _ in range(50)))
        assert {reply.key_version for reply in replies} == {1}
        assert await asyncio.to_thread(cloud.count, None, told.kms_key_ref) == 2


async def test_one_key_that_opens_with_nothing_holds_up_no_other(platform: Platform) -> None:
    async with platform.kms(OLD) as kms:
        tenants = await platform.store(kms, 3)
    platform.database.execute(
        "update kms.master_key set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)"
        " where tenant_id = %s",
        (tenants[1],),
    )
    async with platform.kms(NEW, OLD) as kms:
        done = await page(kms)
    assert (done.rewrapped, done.failed) == (2, 1)
    assert list(done.failed_tenant_ids) == [str(tenants[1])]


async def test_two_rekeys_at_once_wrap_each_key_anew_once(platform: Platform) -> None:
    async with platform.kms(OLD) as kms:
        await platform.store(kms, 12)
    async with platform.kms(NEW, OLD) as one, platform.kms(NEW, OLD) as two:
        done = await asyncio.gather(*(rekey(kms, limit=5) for kms in (one, two, one)))
    assert sum(rewrapped for rewrapped, _, _ in done) == 12
    assert sum(failed for _, _, failed in done) == 0
    async with platform.kms(NEW) as kms:
        assert await platform.opened(kms) == 12


async def test_a_rotation_in_the_middle_loses_neither_the_old_version_nor_the_new(
    platform: Platform, cloud: Control
) -> None:
    async with platform.kms(OLD) as kms:
        tenants = await platform.store(kms, 4)
    customers = {
        tenant: await asyncio.to_thread(cloud.create_customer, external_id=f"coffer-{tenant}")
        for tenant in tenants
    }
    async with platform.kms(NEW, OLD) as kms:
        await asyncio.gather(
            rekey(kms, limit=1),
            *(kms.put(tenant, onboarding(one)) for tenant, one in customers.items()),
        )
        assert await rekey(kms) == (0, 4, 0)
    async with platform.kms(NEW) as kms:
        assert await platform.opened(kms) == 4
        for tenant in tenants:
            assert (await kms.generate(tenant)).key_version == 2


async def test_a_revocation_in_the_middle_is_final(platform: Platform, cloud: Control) -> None:
    async with platform.kms(OLD) as kms:
        tenants = await platform.store(kms, 6)
        for tenant in tenants:
            external_id = f"coffer-{tenant}"
            one = await asyncio.to_thread(cloud.create_customer, external_id=external_id)
            await kms.put(tenant, onboarding(one))
    async with platform.kms(NEW, OLD) as kms:
        under_way = asyncio.create_task(rekey(kms, limit=2))
        await asyncio.gather(*(erase(kms, tenant) for tenant in tenants[::2]))
        assert (await under_way)[2] == 0
        assert (await page(kms)).current == 3
    wiped = platform.database.rows(
        "select status, wrapped is null from kms.master_key where version = 1 order by 1"
    )
    assert wiped == [("retired", False)] * 3 + [("revoked", True)] * 3


async def test_who_goes_back_to_the_platforms_key_gets_the_operators(
    platform: Platform, cloud: Control
) -> None:
    told = await in_aws(cloud)
    tenant = platform.database.create_tenant("back")
    customer = await asyncio.to_thread(cloud.create_customer, external_id=f"coffer-{tenant}")
    async with platform.kms(OLD, operator_key=told) as kms:
        await kms.put(tenant, onboarding(customer))
        await asyncio.to_thread(cloud.disable, told.kms_key_ref)
        await refused("unavailable", kms.offboard(tenant))
    await asyncio.to_thread(cloud.enable, told.kms_key_ref)
    async with platform.kms(OLD, operator_key=told) as kms:
        await kms.offboard(tenant)
        assert (await kms.generate(tenant)).key_version == 2
    assert platform.methods() == {"customer_kms": 1, "operator_kms": 1}


@pytest.mark.parametrize("who", STRANGERS)
async def test_nobody_but_the_operator_turns_the_key(kms: KmsStand, who: str) -> None:
    request = kms_pb2.RekeyPlatformRequest(limit=1)
    await refused("forbidden", called(kms.stub(who).RekeyPlatform(request, timeout=10)))


async def test_nobody_without_a_certificate_turns_the_key(kms: KmsStand) -> None:
    trusted = kms.pki.tls("operator").ca.read_bytes()
    tls = grpc.ssl_channel_credentials(root_certificates=trusted)
    request = kms_pb2.RekeyPlatformRequest(limit=1)
    async with grpc.aio.secure_channel(f"localhost:{kms.port}", tls) as channel:
        stub: Any = kms_pb2_grpc.KmsServiceStub(channel)
        await refused("unavailable", called(stub.RekeyPlatform(request, timeout=10)))


async def test_the_operator_may_do_nothing_else(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("somebody")
    request = kms_pb2.GenerateDataKeysRequest(tenant_id=str(tenant), count=1)
    await refused("forbidden", called(kms.stub("operator").GenerateDataKeys(request, timeout=10)))


@pytest.mark.parametrize(
    ("cursor", "limit"), [("", 0), ("", 1001), ("nobody", 1), (f"{uuid.UUID(int=1)}:-1", 1)]
)
async def test_a_page_that_cannot_be_is_refused(kms: KmsStand, cursor: str, limit: int) -> None:
    await refused("validation_error", page(kms, cursor, limit))
