"""Throttle and rate, on a clock that moves only when somebody sleeps."""

from __future__ import annotations

import pytest

from services.rewrap.pace import RateMeter, Throttle
from tests.fakes.rewrap_leases import Clock


async def test_without_a_throttle_nobody_sleeps() -> None:
    clock = Clock()
    throttle = Throttle(None, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        await throttle.admit(throttle.share(1000))
    assert clock.now == 1000
    assert throttle.share(1000) == 1000


@pytest.mark.parametrize("rate", [1, 10, 500, 100_000])
async def test_a_throttle_is_never_exceeded(rate: int) -> None:
    clock = Clock()
    throttle = Throttle(rate, clock=clock, sleep=clock.sleep)
    share = throttle.share(1000)
    admitted = 0
    while admitted < rate * 3:
        await throttle.admit(share)
        admitted += share
    # The last batch is admitted at the moment it may begin.
    assert admitted - share <= rate * (clock.now - 1000) + 1e-6
    assert clock.now - 1000 == pytest.approx((admitted - share) / rate)


async def test_keys_that_were_not_there_do_not_count() -> None:
    clock = Clock()
    throttle = Throttle(100, clock=clock, sleep=clock.sleep)
    for _ in range(50):
        share = throttle.share(1000)
        await throttle.admit(share)
        throttle.give_back(share)
    assert clock.now == pytest.approx(1000)


async def test_a_changed_throttle_holds_from_the_next_batch() -> None:
    clock = Clock()
    throttle = Throttle(1000, clock=clock, sleep=clock.sleep)
    await throttle.admit(250)
    throttle.set(None)
    before = clock.now
    await throttle.admit(1000)
    assert clock.now == before


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    meter = RateMeter(clock)
    assert meter.rate() is None
    for _ in range(10):
        clock.now += 1
        meter.add(500)
    assert meter.rate() == pytest.approx(500, rel=0.25)
    clock.now += 60
    assert meter.rate() == 0


def test_the_rate_of_a_young_run_is_over_its_own_time() -> None:
    clock = Clock()
    meter = RateMeter(clock)
    clock.now += 0.5
    meter.add(1000)
    assert meter.rate() == pytest.approx(2000)
