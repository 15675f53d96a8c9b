"""Places for batches: bounded, and fair to leases however many lanes they have."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest

from services.rewrap.turns import Turns
from tests.fakes.rewrap_clock import Clock


class Work:
    """Lanes that each do batch after batch for a while, as `take` lets them."""

    def __init__(self, places: int) -> None:
        self.clock = Clock()
        self.turns: Turns[str] = Turns(places, self.clock)
        self.done: Counter[str] = Counter()
        self.most = self._now = 0

    async def lane(self, key: str, until: float, seconds: float = 0.1, rest: float = 0) -> None:
        while self.clock() < until:
            async with self.turns.take(key):
                self._now += 1
                self.most = max(self.most, self._now)
                await self.clock.sleep(seconds)
                self._now -= 1
                self.done[key] += self.clock() <= until
            if rest:
                await self.clock.sleep(rest)


async def test_no_more_are_at_it_than_there_are_places() -> None:
    work = Work(4)
    await asyncio.gather(*(work.lane(f"lease {n % 3}", 1010) for n in range(20)))
    assert work.most == 4


async def test_a_lease_with_many_lanes_does_not_starve_those_with_a_single_one() -> None:
    work = Work(2)
    lanes = ["huge"] * 32 + [f"small {n}" for n in range(9)]
    await asyncio.gather(*(work.lane(key, 1050) for key in lanes))
    assert len(work.done) == 10
    # Who has a single lane is not waiting while it is at it; one that has many always is.
    assert max(work.done.values()) <= 1.4 * min(work.done.values())


@pytest.mark.parametrize("slow", [1, 2, 3])
@pytest.mark.parametrize("lanes", [1, 4])
async def test_slow_batches_of_some_leases_do_not_hold_up_the_quick_ones_of_another(
    slow: int, lanes: int
) -> None:
    work = Work(4)
    quick = [work.lane("quick", 1060, 0.05, rest=0.05) for _ in range(lanes)]
    others = [work.lane(f"slow {n % slow}", 1060, 20) for n in range(4 * slow)]
    await asyncio.gather(*quick, *others)
    assert work.done["quick"] >= 550
    # What is slow is not stopped by that either.
    assert min(work.done[f"slow {n}"] for n in range(slow)) >= 2


async def test_a_lease_that_is_alone_again_gets_all_places() -> None:
    work = Work(4)
    other = work.lane("other", 1005)
    await asyncio.gather(other, *(work.lane("one", 1020) for _ in range(4)))
    assert work.done["one"] >= 3 * 50 + 4 * 130


async def test_a_lone_lease_gets_all_places() -> None:
    work = Work(4)
    await asyncio.gather(*(work.lane("one", 1010) for _ in range(4)))
    assert work.done["one"] == pytest.approx(400, abs=5)


async def test_who_gives_up_waiting_loses_no_place() -> None:
    turns: Turns[str] = Turns(1)
    entered = []

    async def enter(name: str) -> None:
        async with turns.take("key"):
            entered.append(name)
            await asyncio.sleep(0)

    async with turns.take("key"):
        waiting = [asyncio.create_task(enter(name)) for name in ("gone", "given", "stays")]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    waiting[1].cancel()  # in the moment in which the place is its own
    for task in waiting:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert entered == ["stays"]
