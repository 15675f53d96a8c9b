"""Many tenants' leases in one process: all go on at the same pace."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from services.rewrap.lane import Means
from services.rewrap.run import Around, Effort, Ended
from services.rewrap.turns import Turns
from services.rewrap.worker import Worker
from tests.fakes.rewrap_around import Hasty, Observer, Queue
from tests.fakes.rewrap_clock import Clock
from tests.fakes.rewrap_leases import Leases

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.rewrap.model import Batch, BatchDone, LeaseRef

TENANTS = 10


class Many:
    """The ports of a worker, over the leases of many tenants."""

    def __init__(self, leases: list[Leases]) -> None:
        self._of = {one.ref: one for one in leases}

    def __getattr__(self, name: str) -> Callable[..., object]:
        def act(ref: LeaseRef, *args: object, **named: object) -> object:
            return getattr(self._of[ref], name)(ref, *args, **named)

        return act

    async def rewrap(self, batch: Batch) -> BatchDone:
        return await self._of[batch.ref].rewrap(batch)


def _worker(clock: Clock, leases: list[Leases], places: int) -> Worker:
    store = Many(leases)
    means = Means(store, store, Observer(), Hasty(), Turns(places), clock)  # type: ignore[arg-type]
    around = Around(means, Queue(), clock.sleep)
    return Worker(around, store, Effort(4, 10, 1e9, 0))  # type: ignore[arg-type]


def _leases(clock: Clock, sizes: list[int]) -> list[Leases]:
    made = [Leases(clock, size) for size in sizes]
    for number, one in enumerate(made):
        one.ref = replace(one.ref, lease_id=number + 1)
        one.batch_seconds = 0.1
    return made


async def test_ten_tenants_at_once_share_fairly() -> None:
    clock = Clock()
    leases = _leases(clock, [600] * TENANTS)
    worker = _worker(clock, leases, 4)
    working = [asyncio.create_task(worker.work(one.ref)) for one in leases]
    while sum(one.row.done for one in leases) < 3000:
        await clock.sleep(0.5)
    done = [one.row.done for one in leases]
    assert max(done) <= 1.25 * min(done)
    assert set(await asyncio.gather(*working)) == {Ended.COMPLETED}


async def test_one_huge_tenant_does_not_starve_the_small_ones() -> None:
    clock = Clock()
    huge, *small = leases = _leases(clock, [20_000] + [100] * 9)
    worker = _worker(clock, leases, 4)
    working = asyncio.create_task(worker.work(huge.ref))
    await clock.sleep(2)
    ends = await asyncio.gather(*(worker.work(one.ref) for one in small))
    assert set(ends) == {Ended.COMPLETED}
    # Nine of ten turns are theirs: 90 batches and as many looks, four at a time.
    assert clock.now < 1000 + 2 + 10
    worker.stop()
    assert await working is Ended.STOPPED
