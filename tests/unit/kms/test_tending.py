"""The background: who is tried, how many at once, and what a defect in it may do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from services.common.errors import TenantSealedError
from services.kms.keys.tending import RETRIES, SEARCH_SECONDS
from services.kms.model import Reason
from tests.fakes.kms_keys import RETRY, World

if TYPE_CHECKING:
    from uuid import UUID


@pytest.fixture
def world() -> World:
    return World()


async def sealed_elsewhere(world: World, name: str = "k") -> UUID:
    tenant, _ = await world.tenant(name)
    for binding in list(world.store.bindings.values()):
        if binding.tenant_id == tenant:
            await world.store.seal(None, binding, Reason.KEY_DISABLED)  # type: ignore[arg-type]
    return tenant


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
    names = [f"k{number}" for number in range(3 * RETRIES)]
    for name in names:
        await sealed_elsewhere(world, name)
        world.keys.customers[name].gate = asyncio.Event()
    world.tending.tend()
    await world.settle()
    world.clock.now += 1.2 * RETRY
    for turn in (1, 2, 3):
        for _ in range(5):
            world.tending.tend()
            await world.settle()
        tried = [key for key in world.keys.customers.values() if key.unwraps]
        assert len(tried) == turn * RETRIES
        for key in tried:
            assert key.gate is not None
            key.gate.set()
        await world.settle()
    assert len(world.store.unsealed) == len(names)


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
