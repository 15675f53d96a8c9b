"""Turns: a tenant's crowd waits for itself and for nobody else."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from services.common.errors import UnavailableError
from services.kms.keys.turns import Turns


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


async def test_a_crowd_behind_a_hanging_call_is_turned_away_at_once() -> None:
    turns, tenant, gate = Turns(1, waiting=3), uuid.uuid4(), asyncio.Event()

    async def hang() -> None:
        async with turns.take(tenant):
            await gate.wait()

    tasks = [asyncio.create_task(hang()) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(hang(), 5)
    async with turns.take(uuid.uuid4()):
        pass  # nobody else is meant
    gate.set()
    await asyncio.gather(*tasks)


async def test_who_waits_when_turns_stop_is_turned_away_but_for_a_few() -> None:
    turns, tenant, gate = Turns(1, stalled_waiting=2, patience=0.05), uuid.uuid4(), asyncio.Event()

    async def hang() -> None:
        async with turns.take(tenant):
            await gate.wait()

    tasks = [asyncio.create_task(hang()) for _ in range(10)]
    done, waiting = await asyncio.wait(tasks, timeout=5, return_when=asyncio.FIRST_EXCEPTION)
    assert {type(task.exception()) for task in done} == {UnavailableError}
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(hang(), 5)
    gate.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert ended.count(None) == 3
    await asyncio.wait_for(hang(), 5)


async def test_a_crowd_whose_turns_go_round_all_get_theirs() -> None:
    turns, tenant = Turns(1, stalled_waiting=2, patience=0.5), uuid.uuid4()

    async def work() -> None:
        async with turns.take(tenant):
            await asyncio.sleep(0.02)

    await asyncio.gather(*(work() for _ in range(50)))
