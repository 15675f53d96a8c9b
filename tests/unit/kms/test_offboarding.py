"""Going back to the platform's key: what ends it, and how often that is looked at."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from services.common.errors import (
    InvalidStateError,
    NoKmsConfigError,
    UnavailableError,
)
from services.common.identity import Call
from services.kms.keys.turns import Turns
from services.kms.lifecycle.draining import SEARCH_SECONDS, SOONEST_SECONDS, Draining
from services.kms.lifecycle.offboarding import Offboarding
from services.kms.model import Activated, Binding, KmsTarget, Reason, WrapMethod
from tests.fakes.kms_keys import World

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.identity import StepUp
    from services.kms.model import NewMasterKey
    from services.kms.ports import BindingStore

LATER = 1.2
"""More than any jitter."""


class Rings:
    """As much of BindingStore and Registry as leaving needs. `needed` says how many data keys hang on it."""

    def __init__(self) -> None:
        self.bindings: dict[UUID, Binding] = {}
        self.needed: dict[UUID, int] = {}
        self.made: list[NewMasterKey] = []
        self.looked: list[UUID] = []
        self.searches = 0
        self.trouble: Exception | None = None
        self.overtaken = False

    def draining(self) -> UUID:
        tenant = uuid.uuid4()
        target = KmsTarget("aws", "k", {})
        self.bindings[tenant] = Binding(tenant, uuid.uuid4(), target, draining=True)
        self.needed[tenant] = 1
        return tenant

    def connected(self) -> UUID:
        tenant = uuid.uuid4()
        self.bindings[tenant] = Binding(tenant, uuid.uuid4(), KmsTarget("aws", "k", {}))
        return tenant

    async def current(self, tenant_id: UUID) -> Binding | None:
        return self.bindings.get(tenant_id)

    async def consume_step_up(self, tenant_id: UUID, step_up: StepUp | None) -> None:
        pass

    async def offboard(self, call: Call, new: NewMasterKey) -> Activated | None:
        if self.overtaken:
            del self.bindings[call.tenant]
            return None
        self.made.append(new)
        return Activated(2, new.id, 7)

    async def finish_draining(self, call: Call, tenant_id: UUID) -> Binding | None:
        self.looked.append(tenant_id)
        if self.trouble is not None:
            raise self.trouble
        binding = self.bindings.get(tenant_id)
        if binding is None or not binding.draining or self.needed[tenant_id]:
            return None
        return self.bindings.pop(tenant_id)

    async def draining_rings(self, limit: int) -> list[UUID]:
        self.searches += 1
        return [tenant for tenant, binding in self.bindings.items() if binding.draining]


class Fixture:
    def __init__(self) -> None:
        self.world, self.rings = World(), Rings()
        store: BindingStore = self.rings  # type: ignore[assignment]
        self.drains = Draining(store, self.world.master_keys, clock=self.world.clock)
        self.offboarding = Offboarding(
            store,
            self.rings,  # type: ignore[arg-type]
            self.world.keys,
            self.world.master_keys,
            drains=self.drains,
            turns=Turns(1),
            clock=self.world.clock,
        )

    async def offboard(self, tenant: UUID) -> Activated:
        call = Call(actor="admin:alice", request_id="r", tenant_id=tenant)
        return await self.offboarding.offboard(call)


@pytest.fixture
def it() -> Fixture:
    return Fixture()


async def test_the_new_key_is_the_platforms_and_is_served_at_once(it: Fixture) -> None:
    tenant = it.rings.connected()
    done = await it.offboard(tenant)
    assert (done.version, done.lease_id) == (2, 7)
    assert [new.wrap_method for new in it.rings.made] == [WrapMethod.GLOBAL]
    asked = it.world.keys.platform_key.unwraps
    assert (await it.world.master_keys.open(tenant, 2)).binding_id is None
    assert it.world.keys.platform_key.unwraps == asked


async def test_a_platform_key_that_cannot_wrap_changes_nothing(it: Fixture) -> None:
    tenant = it.rings.connected()
    it.world.keys.platform_key.trouble = Reason.ACCESS_DENIED
    with pytest.raises(UnavailableError) as caught:
        await it.offboard(tenant)
    assert "as told" not in caught.value.message, "the operator's own matters"
    assert it.rings.made == []


async def test_who_leaves_already_or_has_nothing_is_told_so(it: Fixture) -> None:
    with pytest.raises(InvalidStateError) as caught:
        await it.offboard(it.rings.draining())
    assert caught.value.reason == "draining"
    with pytest.raises(NoKmsConfigError):
        await it.offboard(uuid.uuid4())
    assert it.rings.made == []


async def test_who_is_overtaken_is_told_what_is_there_now(it: Fixture) -> None:
    tenant = it.rings.connected()
    it.rings.overtaken = True
    with pytest.raises(NoKmsConfigError):
        await it.offboard(tenant)


async def test_a_leaving_that_this_process_began_is_looked_at_soon_and_not_all_the_time(
    it: Fixture,
) -> None:
    await it.drains.look()
    tenant = it.rings.draining()
    it.drains.watch(tenant)
    await it.drains.look()
    assert it.rings.looked == []
    for _ in range(10):
        it.world.clock.now += 0.25 * SOONEST_SECONDS
        await it.drains.look()
    assert 1 <= len(it.rings.looked) <= 3
    it.rings.needed[tenant] = 0
    it.world.clock.now += LATER * SOONEST_SECONDS
    await it.drains.look()
    assert it.rings.bindings == {}
    looked = len(it.rings.looked)
    it.world.clock.now += SOONEST_SECONDS * LATER
    await it.drains.look()
    assert len(it.rings.looked) == looked, "it is done with"


async def test_a_leaving_that_another_process_began_is_found(it: Fixture) -> None:
    await it.drains.look()
    tenant = it.rings.draining()
    it.rings.needed[tenant] = 0
    it.world.clock.now += LATER * SEARCH_SECONDS
    await it.drains.look()
    assert it.rings.bindings == {}
    assert it.rings.searches == 2


async def test_a_leaving_that_ended_otherwise_is_forgotten(it: Fixture) -> None:
    tenant = it.rings.draining()
    it.drains.watch(tenant)
    del it.rings.bindings[tenant]
    for _ in range(3):
        it.world.clock.now += LATER * SOONEST_SECONDS
        await it.drains.look()
    assert it.rings.looked == [tenant]


@pytest.mark.parametrize("trouble", [UnavailableError(), RuntimeError("DETAIL: a-hidden-text")])
async def test_a_fault_ends_neither_the_background_nor_what_it_knows(
    it: Fixture, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    tenant = it.rings.draining()
    it.rings.trouble = trouble
    running = asyncio.create_task(it.drains.run())
    await it.world.settle()
    assert it.rings.looked == [tenant]
    assert not running.done()
    assert "a-hidden-text" not in caplog.text
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    it.rings.trouble = None
    it.rings.needed[tenant] = 0
    it.world.clock.now += LATER * SEARCH_SECONDS
    await it.drains.look()
    assert it.rings.bindings == {}
