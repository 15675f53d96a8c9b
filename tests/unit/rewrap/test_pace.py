"""The throttle, over several workers, on a clock that moves only when all sleep."""

from __future__ import annotations

import asyncio

import pytest

from services.rewrap.pace import Throttle
from services.rewrap.run import Ended
from tests.fakes.rewrap_around import Scene, scene
from tests.fakes.rewrap_clock import Clock
from tests.fakes.rewrap_leases import Leases

WORKERS = 3
LANES = 4
BATCH_SECONDS = 0.02


class Crowd:
    """Lanes of several workers that all want as much as they can get."""

    def __init__(self, rate: int | None) -> None:
        self.clock = Clock()
        self.leases = Leases(self.clock)
        self.leases.row.state = "running"
        self.leases.row.throttle = rate
        self.admitted = 0
        self._ended = False

    async def work(self, seconds: float) -> int:
        """How many keys were let through in so long."""
        before, until = self.admitted, self.clock.now + seconds
        throttles = [
            Throttle(self.leases.ref, self.leases, self.clock.sleep, throttled=True)
            for _ in range(WORKERS)
        ]
        await asyncio.gather(
            *(self._lane(throttle, until) for throttle in throttles for _ in range(LANES))
        )
        return self.admitted - before

    async def _lane(self, throttle: Throttle, until: float) -> None:
        while self.clock() < until:
            let_through = await throttle.admit(1000, lambda: self.clock() >= until)
            self.admitted += let_through
            await self.clock.sleep(BATCH_SECONDS)


@pytest.mark.parametrize(("rate", "seconds"), [(1, 60), (10, 30), (500, 20), (20_000, 20)])
async def test_a_throttle_is_kept_over_all_workers_together(rate: int, seconds: int) -> None:
    assert await Crowd(rate).work(seconds) == pytest.approx(rate * seconds, rel=0.05)


async def test_a_changed_throttle_holds_at_once() -> None:
    crowd = Crowd(1000)
    for rate in (1000, 10, 4000, 100):
        crowd.leases.row.throttle = rate
        assert await crowd.work(20) == pytest.approx(rate * 20, rel=0.05)


async def test_who_waits_long_under_a_low_throttle_notices_that_it_was_taken_away() -> None:
    crowd = Crowd(1)
    throttle = Throttle(crowd.leases.ref, crowd.leases, crowd.clock.sleep, throttled=True)
    assert await throttle.admit(1000, lambda: False) == 1
    waiting = asyncio.create_task(throttle.admit(1000, lambda: False))
    await crowd.clock.sleep(0.1)
    crowd.leases.row.throttle = None
    assert await waiting == 1000
    assert crowd.clock.now < 1001


async def test_who_was_away_for_long_does_not_make_up_for_it() -> None:
    crowd = Crowd(1000)
    await crowd.work(1)
    await crowd.clock.sleep(3600)
    assert await crowd.work(10) == pytest.approx(10_000, rel=0.05)


async def test_a_clock_that_went_back_stops_nobody() -> None:
    crowd = Crowd(1000)
    await crowd.work(1)
    crowd.clock.now -= 3600
    assert await crowd.work(10) == pytest.approx(10_000, rel=0.05)


async def test_without_a_throttle_nobody_asks() -> None:
    crowd = Crowd(None)
    throttle = Throttle(crowd.leases.ref, crowd.leases, crowd.clock.sleep, throttled=False)
    assert await throttle.admit(1000, lambda: False) == 1000
    assert crowd.clock.now == 1000


async def _whole(here: Scene, workers: int) -> float:
    began = here.clock.now
    others = [here.another() for _ in range(workers - 1)]
    ends = await asyncio.gather(here.work(), *(one.work(here.leases.ref) for one in others))
    assert Ended.COMPLETED in ends
    return here.leases.moved_at[-1][0] - began


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_whole_lease_takes_the_time_that_its_throttle_says(workers: int) -> None:
    """Also with many short lanes, each of which ends within a batch that was admitted whole."""
    here = scene(5000, batch=100)
    here.leases.batch_seconds = BATCH_SECONDS
    here.leases.row.throttle = 500
    assert await _whole(here, workers) == pytest.approx(10, rel=0.05)


async def test_what_is_verified_is_bound_by_the_throttle_too() -> None:
    here = scene(1000, batch=100, sample=None)
    here.leases.batch_seconds = BATCH_SECONDS
    here.leases.row.throttle = 500
    assert await _whole(here, 1) == pytest.approx(4, rel=0.1)
    assert here.leases.row.verified == 1000


async def test_batches_stay_small_under_a_throttle_and_never_empty() -> None:
    here = scene(60, batch=10)
    here.leases.row.throttle = 2
    await _whole(here, 1)
    assert {batch.limit for batch in here.leases.batches} == {1}
