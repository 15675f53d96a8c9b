"""Lanes: what hangs is out of the way of who answers."""

from __future__ import annotations

import asyncio
import time
import uuid

from services.kms.providers.lanes import Lanes

PATIENCE = 0.1


async def hang(lanes: Lanes, tenant: uuid.UUID, gate: asyncio.Event) -> None:
    async with lanes.take(tenant):
        await gate.wait()


async def answer(lanes: Lanes, tenant: uuid.UUID) -> None:
    async with lanes.take(tenant):
        await asyncio.sleep(0)


async def test_a_tenant_that_answers_does_not_wait_for_those_that_hang() -> None:
    lanes, gate = Lanes(patience=PATIENCE), asyncio.Event()
    stuck = [
        asyncio.create_task(hang(lanes, tenant, gate))
        for tenant in [uuid.uuid4() for _ in range(72)]
        for _ in range(4)
    ]
    await asyncio.sleep(0)
    started, healthy = time.monotonic(), uuid.uuid4()
    for _ in range(20):
        await asyncio.wait_for(answer(lanes, healthy), 5)
    assert time.monotonic() - started < 10 * PATIENCE
    gate.set()
    await asyncio.gather(*stuck)


async def test_the_first_of_each_tenant_comes_before_the_second_of_any() -> None:
    lanes, gate = Lanes(fast=1, patience=60), asyncio.Event()
    first, crowd, single = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    order: list[uuid.UUID] = []

    async def note(tenant: uuid.UUID) -> None:
        async with lanes.take(tenant):
            order.append(tenant)

    blocking = asyncio.create_task(hang(lanes, first, gate))
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(note(crowd)) for _ in range(5)]
    tasks.append(asyncio.create_task(note(single)))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(blocking, *tasks)
    assert order.index(single) == 1


async def test_a_slow_tenant_that_answers_again_is_fast_again() -> None:
    lanes, gate = Lanes(slow=1, patience=PATIENCE), asyncio.Event()
    tenant, other = uuid.uuid4(), uuid.uuid4()
    for one in (tenant, other):
        gate.clear()
        late = asyncio.create_task(hang(lanes, one, gate))
        await asyncio.sleep(2 * PATIENCE)
        gate.set()
        await late
    await answer(lanes, tenant)  # in the slow lane, and in time
    gate.clear()
    blocking = asyncio.create_task(hang(lanes, other, gate))
    await asyncio.sleep(0)
    await asyncio.wait_for(answer(lanes, tenant), 5)
    gate.set()
    await blocking


async def test_who_gives_up_waiting_leaves_no_place_taken() -> None:
    lanes, gate = Lanes(fast=1, slow=1, stragglers=0, patience=PATIENCE), asyncio.Event()
    one, other = uuid.uuid4(), uuid.uuid4()
    blocking = asyncio.create_task(hang(lanes, one, gate))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(answer(lanes, who)) for who in (one, other, one)]
    await asyncio.sleep(2 * PATIENCE)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    gate.set()
    await blocking
    await asyncio.wait_for(asyncio.gather(answer(lanes, one), answer(lanes, other)), 5)
