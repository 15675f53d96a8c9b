"""Turns: a tenant's crowd waits for itself and for nobody else."""

from __future__ import annotations

import asyncio
import uuid

from services.kms.turns import Turns


async def test_no_more_than_allowed_at_once_and_others_are_not_kept_waiting() -> None:
    turns, gate, inside = Turns(2), asyncio.Event(), []
    busy, other = uuid.uuid4(), uuid.uuid4()

    async def work(tenant: uuid.UUID) -> None:
        async with turns.take(tenant):
            inside.append(tenant)
            await gate.wait()

    tasks = [asyncio.create_task(work(busy)) for _ in range(10)]
    tasks.append(asyncio.create_task(work(other)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert inside.count(busy) == 2
    assert inside.count(other) == 1
    gate.set()
    await asyncio.gather(*tasks)
    assert inside.count(busy) == 10


async def test_one_who_gives_up_waiting_leaves_its_place_to_the_next() -> None:
    turns, tenant = Turns(1), uuid.uuid4()

    async def wait() -> None:
        async with turns.take(tenant):
            pass

    async with turns.take(tenant):
        waiting = asyncio.create_task(wait())
        next_one = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(next_one, 5)
