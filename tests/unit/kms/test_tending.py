"""The background: who is tried, how many at once, and what a defect in it may do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from services.common.errors import TenantSealedError
from services.kms.keys.sealing import PAUSE_SECONDS
from services.kms.keys.tending import SEARCH_SECONDS
from services.kms.keys.tries import QUICK, SLOW, STRAGGLERS
from services.kms.model import Reason, WrapError
from tests.fakes.kms_keys import CUSTOMER_TTL, RETRY, FakeKey, World

if TYPE_CHECKING:
    from uuid import UUID

CLOUD_SECONDS = 10
"""After which a call to a cloud that hangs is given up."""


@pytest.fixture
def world() -> World:
    return World()


async def sealed_elsewhere(world: World, name: str = "k") -> UUID:
    tenant, _ = await world.tenant(name)
    for binding in list(world.store.bindings.values()):
        if binding.tenant_id == tenant:
            await world.store.seal(None, binding, Reason.KEY_DISABLED)  # type: ignore[arg-type]
    return tenant


async def ticks(world: World, seconds: int) -> None:
    for _ in range(seconds):
        world.clock.now += 1
        world.tending.tend()
        await world.settle()


async def test_a_binding_sealed_before_a_restart_is_tried_though_nobody_asks(world: World) -> None:
    tenant = await sealed_elsewhere(world)
    world.tending.tend()
    await world.settle()
    world.clock.now += 1.2 * RETRY
    world.tending.tend()
    await world.settle()
    assert len(world.store.unsealed) == 1
    await world.master_keys.open(tenant, 1)


async def test_a_binding_sealed_by_a_process_that_died_is_found_later(world: World) -> None:
    world.tending.tend()
    await world.settle()
    await sealed_elsewhere(world)
    world.clock.now += SEARCH_SECONDS
    world.tending.tend()
    await world.settle()
    world.clock.now += 1.2 * RETRY
    world.tending.tend()
    await world.settle()
    assert len(world.store.unsealed) == 1


async def test_a_proven_key_is_tried_at_once(world: World) -> None:
    tenant = await sealed_elsewhere(world)
    world.tending.hurry(next(iter(world.store.bindings.values())))
    await world.settle()
    assert len(world.store.unsealed) == 1
    await world.master_keys.open(tenant, 1)


async def test_hanging_bindings_are_tried_a_few_at_a_time_and_each_in_its_turn(
    world: World,
) -> None:
    gate = asyncio.Event()
    names = [f"k{number}" for number in range(2 * (QUICK + STRAGGLERS))]
    for name in names:
        await sealed_elsewhere(world, name)
        world.keys.customers[name].gate = gate
    await ticks(world, 1)
    world.clock.now += 1.2 * RETRY

    def tried() -> int:
        return sum(key.unwraps for key in world.keys.customers.values())

    for _ in range(5):
        world.tending.tend()
        await world.settle()
        assert tried() == QUICK
    await ticks(world, 1)
    assert tried() == 2 * QUICK
    await ticks(world, 5)
    assert tried() == QUICK + STRAGGLERS
    gate.set()
    await world.settle()
    assert len(world.store.unsealed) == QUICK + STRAGGLERS
    await ticks(world, 5)
    assert len(world.store.unsealed) == len(names) == tried()


class Hanging:
    """The clouds of tenants that are sealed; each call hangs until it is given up or the cloud answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.crowd = self.under_way = 0
        self._ends: list[tuple[float, asyncio.Event]] = []

    def hang(self, key: FakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
        async def unwrap(*_: object) -> bytes:
            self.under_way += 1
            self.crowd = max(self.crowd, self.under_way)
            key.unwraps += 1
            end = asyncio.Event()
            self._ends.append((self.world.clock.now + CLOUD_SECONDS, end))
            await end.wait()
            self.under_way -= 1
            raise WrapError(Reason.UNREACHABLE, "hangs")

        monkeypatch.setattr(key, "unwrap", unwrap)

    async def tick(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.world.clock.now += 1
            for until, end in self._ends:
                if self.world.clock.now >= until:
                    end.set()
            self._ends = [(until, end) for until, end in self._ends if not end.is_set()]
            self.world.tending.tend()
            await self.world.settle()


async def healed_after(
    world: World, many: int, monkeypatch: pytest.MonkeyPatch, *, hung: bool
) -> tuple[int, Hanging]:
    """How long one of many sealed bindings is not served after its cloud answers again; `hung`: like them.

    Nothing but silence seals, and that with requests, as it does when a region is down.
    """
    clouds = Hanging(world)
    for number in range(many):
        await sealed_by_silence(world, f"k{number}")
        clouds.hang(world.keys.customers[f"k{number}"], monkeypatch)
    with monkeypatch.context() as ill:
        healing = await sealed_by_silence(world, "healing")
        if hung:
            clouds.hang(world.keys.customers["healing"], ill)
        else:
            world.keys.customers["healing"].trouble = Reason.UNREACHABLE
        await clouds.tick(5 * int(RETRY))
    world.keys.customers["healing"].trouble = None
    waited = 0
    while not world.store.unsealed:
        await clouds.tick()
        waited += 1
        assert waited < 20 * RETRY
    await world.master_keys.open(healing, 1)
    await clouds.tick(CLOUD_SECONDS)
    return waited, clouds


async def sealed_by_silence(world: World, name: str) -> UUID:
    tenant, key = await world.tenant(name)
    key.trouble = Reason.UNREACHABLE
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    return tenant


@pytest.mark.parametrize("hung", [False, True])
async def test_one_that_can_be_used_again_is_not_behind_hundreds_that_hang(
    hung: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, clouds = await healed_after(world, 480, monkeypatch, hung=hung)
    assert waited <= 1.1 * RETRY + (CLOUD_SECONDS if hung else 1)
    assert clouds.crowd <= QUICK + STRAGGLERS + SLOW
    tries = [key.unwraps for name, key in world.keys.customers.items() if name != "healing"]
    assert min(tries) >= 3, "in five times 30 s, all of them"


async def test_those_whose_requests_hung_are_behind_each_other_from_their_first_try_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clouds, asking = Hanging(world), []
    for number in range(4 * (QUICK + STRAGGLERS)):
        tenant, key = await world.tenant(f"k{number}")
        clouds.hang(key, monkeypatch)
        asking.append(asyncio.create_task(world.master_keys.open(tenant, 1)))
    await world.settle()
    await clouds.tick(CLOUD_SECONDS)
    await asyncio.gather(*asking, return_exceptions=True)
    assert len(world.seals) == len(asking)
    await clouds.tick(2)
    await sealed_by_silence(world, "healing")
    world.keys.customers["healing"].trouble = None
    await clouds.tick(int(1.1 * RETRY))
    assert len(world.store.unsealed) == 1
    await clouds.tick(CLOUD_SECONDS)


async def test_those_that_hang_wait_for_each_other_when_there_are_too_many_and_nobody_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, bound in (("QUICK", 8), ("STRAGGLERS", 8), ("SLOW", 10)):
        monkeypatch.setattr(f"services.kms.keys.tries.{name}", bound)
    waited, clouds = await healed_after(world, 80, monkeypatch, hung=False)
    assert waited <= 1.1 * RETRY + 1
    assert clouds.crowd <= 8 + 8 + 10


async def test_no_request_waits_for_the_try_of_a_sealed_binding_whose_cloud_hangs(
    world: World,
) -> None:
    tenant = await sealed_by_silence(world, "k")
    key = world.keys.customers["k"]
    key.gate = asyncio.Event()
    world.clock.now += 1.2 * RETRY
    world.tending.tend()
    await world.settle()
    assert key.unwraps == 2
    asking = asyncio.create_task(world.master_keys.open(tenant, 1))
    await world.settle()
    assert asking.done()
    with pytest.raises(TenantSealedError):
        await asking
    assert key.unwraps == 2
    key.trouble = None
    key.gate.set()
    await world.settle()
    await world.master_keys.open(tenant, 1)
    assert key.unwraps == 2


async def test_who_needs_a_key_that_ended_joins_its_refresh(world: World) -> None:
    tenant, key = await world.tenant()
    for _ in range(2):
        await world.master_keys.open(tenant, 1)
    key.gate = asyncio.Event()
    world.clock.now += 0.81 * CUSTOMER_TTL
    world.tending.tend()
    await world.settle()
    world.clock.now += CUSTOMER_TTL
    asking = asyncio.create_task(world.master_keys.open(tenant, 1))
    await world.settle()
    assert key.unwraps == 2
    key.gate.set()
    await asking
    assert key.unwraps == 2


async def silent_about_one_of_two(world: World) -> UUID:
    """Version 2 is open, and version 1 was asked for in vain shortly before 2 ends."""
    tenant, key = await world.tenant()
    await world.version(tenant, next(iter(world.store.bindings)))
    await world.master_keys.open(tenant, 2)
    key.trouble = Reason.UNREACHABLE
    for second in range(int(0.9 * CUSTOMER_TTL) - 1):
        if second == 0.9 * CUSTOMER_TTL - 15:
            with pytest.raises(TenantSealedError):
                await world.master_keys.open(tenant, 1)
        await ticks(world, 1)
    assert world.store.sealed == []
    await world.master_keys.open(tenant, 2)
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    return tenant


async def test_nobody_is_told_that_a_tenant_is_sealed_before_it_is(world: World) -> None:
    tenant = await silent_about_one_of_two(world)
    world.clock.now += 1
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 2)
    assert [reason for _, reason in world.store.sealed] == [Reason.UNREACHABLE]
    asked = world.keys.customers["k"].unwraps
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 2)
    assert world.keys.customers["k"].unwraps == asked


async def test_a_binding_that_is_not_sealed_is_tried_again_after_a_pause_only(world: World) -> None:
    await silent_about_one_of_two(world)
    key = world.keys.customers["k"]
    asked = key.unwraps
    await ticks(world, 1 + int(1.1 * PAUSE_SECONDS) + 1)
    assert asked < key.unwraps <= asked + 3
    assert [reason for _, reason in world.store.sealed] == [Reason.UNREACHABLE]


async def test_a_try_that_hangs_is_not_made_twice_though_the_binding_is_not_sealed(
    world: World,
) -> None:
    await silent_about_one_of_two(world)
    key = world.keys.customers["k"]
    key.gate = asyncio.Event()
    asked = key.unwraps
    await ticks(world, CLOUD_SECONDS)
    assert key.unwraps == asked + 1
    key.gate.set()
    await world.settle()


async def test_a_defect_in_the_background_tells_no_text_and_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, good = await world.tenant("broken"), await world.tenant("good")
    for tenant, key in (broken, good):
        key.trouble = Reason.ACCESS_DENIED
        with pytest.raises(TenantSealedError):
            await world.master_keys.open(tenant, 1)
        key.trouble = None

    async def defect(*_: object) -> bytes:
        raise RuntimeError("DETAIL: the-text-nobody-may-see")

    monkeypatch.setattr(broken[1], "unwrap", defect)
    world.clock.now += 1.2 * RETRY
    world.tending.tend()
    await world.settle()
    await world.master_keys.open(good[0], 1)
    assert "RuntimeError" in caplog.text
    assert "nobody-may-see" not in caplog.text
