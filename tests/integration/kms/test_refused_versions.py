"""A customer takes an old version of its cloud key away: what is read through it waits, and nothing else."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from coffer.kms.v1 import kms_pb2

from devcloud.gcp.control import GcpControl
from devcloud.gcp.model import VersionState
from services.common.envelope import WRAPPED_DATA_KEY_BYTES
from tests.fakes.kms_stand import running_kms, until
from tests.fakes.three_clouds import ThreeClouds, three_clouds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from devcloud.customers import CloudCustomer
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

RETRY = 0.3
SEALED = kms_pb2.DATA_KEY_FAULT_SEALED


@pytest.fixture
def clouds(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreeClouds]:
    with three_clouds(aws, monkeypatch) as running:
        yield running


class Turned:
    """A tenant in two processes: version 1 is under version 1 of Google's key, 2 under its version 2."""

    def __init__(self, one: KmsStand, two: KmsStand, tenant: UUID, customer: CloudCustomer) -> None:
        self.both = (one, two)
        self.tenant, self.customer = tenant, customer
        assert isinstance(customer.control, GcpControl)
        self._google = customer.control
        self.old: Any = None
        self.new: Any = None

    async def turn(self) -> None:
        one = self.both[0]
        await one.put(self.tenant, self.customer.body)
        self.old = (await one.generate(self.tenant)).data_keys[0]
        await one.cloud(self._google.rotate, self.customer.key)
        await one.rotate(self.tenant)

        async def moved() -> bool:
            made = [await kms.generate(self.tenant) for kms in self.both]
            self.new = made[0].data_keys[0]
            return {reply.key_version for reply in made} == {2}

        await until(moved, 10, "version 2 is used by both")
        for kms in self.both:
            assert await self.opens(kms, self.old)

    async def set_cloud(self, **states: VersionState) -> None:
        for name, state in states.items():
            version = self._google.key(self.customer.key).version(int(name.removeprefix("v")))
            await self.both[0].cloud(self._google.set_version_state, version, state)

    async def opens(self, kms: KmsStand, key: Any) -> bool:
        (result,) = (await kms.unwrap(self.tenant, (key.id, key.wrapped))).results
        if result.fault:
            assert result.fault == SEALED
            return False
        return bool(result.plaintext == key.plaintext)

    async def decrypts(self) -> int:
        return int(await self.both[0].cloud(self._google.count, "Decrypt", self.customer.key))

    async def sealed(self) -> bool:
        config = (await self.both[0].get(self.tenant))["config"]
        assert ("sealed_since" in config) == ("last_verify_error" in config)
        return "sealed_since" in config

    def sealings(self) -> list[tuple[object, ...]]:
        return self.both[0].database.rows(
            "select action from audit.event where tenant_id = %s"
            " and action in ('kms.sealed', 'kms.unsealed') order by seq",
            (self.tenant,),
        )


@pytest.fixture
async def it(
    database: TestDatabase, pki: TestPki, aws: AwsServer, clouds: ThreeClouds
) -> AsyncIterator[Turned]:
    async with (
        running_kms(database, pki, aws, sealed_retry=RETRY, **clouds.settings) as one,
        running_kms(database, pki, aws, sealed_retry=RETRY, **clouds.settings) as two,
    ):
        tenant = database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
        customer = await one.cloud(clouds.customers.customer, "gcp", str(tenant))
        made = Turned(one, two, tenant, customer)
        await made.turn()
        yield made


async def test_a_disabled_old_version_seals_nobody_and_no_process_flaps(it: Turned) -> None:
    one, two = it.both
    await it.set_cloud(v1=VersionState.DISABLED)
    one.process.forget_all()
    assert not await it.opens(one, it.old)

    async def dropped() -> bool:
        return not await it.opens(two, it.old)

    await until(dropped, 10, "the other one heard of it, long before the TTL")
    before, began = await it.decrypts(), time.monotonic()
    calls = 0
    while calls < 2 * len(it.both):
        assert time.monotonic() - began < 20, "each tries again, and asks for the newest"
        for kms in it.both:
            assert (await kms.generate(it.tenant)).key_version == 2
            assert await it.opens(kms, it.new)
            assert not await it.opens(kms, it.old)
        calls = await it.decrypts() - before
    tries = (time.monotonic() - began) / (0.9 * RETRY) + 1
    assert calls <= 2 * tries * len(it.both)
    # A rewrap moves what it can, and is told what has to wait.
    packed = it.new.id + it.new.wrapped + it.old.id + it.old.wrapped
    moved = await one.rewrap(it.tenant, packed)
    assert [(failure.index, failure.fault) for failure in moved.failures] == [(1, SEALED)]
    assert not await it.sealed()
    await it.set_cloud(v1=VersionState.ENABLED)
    for kms in it.both:
        await until(lambda k=kms: it.opens(k, it.old), 10, "open again by itself")  # type: ignore[misc]
    moved = await two.rewrap(it.tenant, packed)
    assert not moved.failures
    assert len(moved.packed) == 2 * WRAPPED_DATA_KEY_BYTES
    assert it.sealings() == []


async def test_a_disabled_key_seals_and_is_tried_with_its_newest_version(it: Turned) -> None:
    one, two = it.both
    await it.set_cloud(v1=VersionState.DISABLED, v2=VersionState.DISABLED)
    one.process.forget_all()
    # Whoever asks for the old version finds out for the new one as well.
    assert not await it.opens(one, it.old)
    assert await it.sealed()

    async def dropped() -> bool:
        return not await it.opens(two, it.new)

    await until(dropped, 10, "sealed in the other one, long before the TTL")
    assert not await it.opens(one, it.new)
    await it.set_cloud(v2=VersionState.ENABLED)
    for kms in it.both:
        await until(lambda k=kms: it.opens(k, it.new), 10, "unsealed")  # type: ignore[misc]
    for _ in range(10):
        for kms in it.both:
            assert not await it.opens(kms, it.old)
            assert await it.opens(kms, it.new)
    assert not await it.sealed()
    assert it.sealings() == [("kms.sealed",), ("kms.unsealed",)]
