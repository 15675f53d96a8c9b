"""What would go wrong: callers stay slow, a rewrap stops, or it crawls when nobody is there."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from services.rewrap.courtesy import (
    PROBE_EVERY_SECONDS,
    PROBE_SECONDS,
    STEP_SECONDS,
    Courtesy,
    Duty,
    left_of_probe,
)

LIMIT = 1.25
FLOOR = 0.05
PLACES = 4
LONG = 3600.0


class Shown:
    """What a courtesy told, and clocks that stand still outside the probes."""

    def __init__(self, limit: float = LIMIT, wall: float = PROBE_SECONDS) -> None:
        self.told: list[tuple[float, float]] = []
        self.courtesy = Courtesy(
            limit,
            floor=FLOOR,
            places=PLACES,
            show=lambda duty, held: self.told.append((duty, held)),
            clock=lambda: 100.0,
            wall=lambda: wall,
        )


def duty_after(*slowdowns: float) -> Duty:
    """A step for each."""
    duty = Duty(LIMIT, floor=FLOOR, places=PLACES)
    for number, slowdown in enumerate(slowdowns):
        duty.learn(number * STEP_SECONDS * 1.01, slowdown)
    return duty


def test_alone_it_works_at_full_speed_and_is_never_held_back() -> None:
    duty = duty_after(0.0, 0.0)
    assert duty.level == 1.0
    assert [duty.begin(1.0, 5.0) for _ in range(9)] == [1.0] * 9


def test_slow_callers_are_given_way_to_until_the_floor_and_no_further() -> None:
    levels = [duty_after(*[3.0] * steps).level for steps in range(1, 12)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] < 0.5
    assert levels[-1] == FLOOR


def test_content_callers_are_left_the_time_to_become_discontent() -> None:
    ups = [duty_after(*[3.0] * 9, *[1.0] * steps).level for steps in range(1, 80)]
    assert all(0 <= later - sooner <= 0.04 for sooner, later in itertools.pairwise(ups))
    assert ups[-1] == 1.0


def test_many_lanes_that_hear_the_same_do_not_give_way_many_times() -> None:
    duty = duty_after(3.0)
    level = duty.level
    for _ in range(40):
        duty.learn(0.01, 3.0)
    assert duty.level == level


def test_when_the_callers_have_gone_it_is_at_full_speed_at_once() -> None:
    duty = duty_after(*[3.0] * 9)
    duty.begin(5.0, LONG)
    duty.learn(6.0, 0.0)
    assert duty.begin(6.0, 1.0) == 6.0


@pytest.mark.parametrize("lanes", [1, 4, 128])
def test_however_many_lanes_there_are_they_share_one_duty(lanes: int) -> None:
    duty = duty_after(*[3.0] * 9)
    worked = 0.04
    free = [0.0] * lanes
    batches = 0
    while (now := min(free)) < LONG:
        free[free.index(now)] = duty.begin(now, worked) + worked
        batches += 1
    assert batches * worked <= 1.1 * FLOOR * PLACES * LONG
    assert batches * worked >= 0.9 * min(FLOOR * PLACES, 0.5) * LONG


def test_two_processes_find_a_common_level() -> None:
    one, other = duty_after(*[3.0] * 20), duty_after(1.0)
    for number in range(3_000):
        slowdown = 1.0 + (one.level + other.level) / 2
        for duty in (one, other):
            duty.learn(LONG + number * STEP_SECONDS * 1.01, slowdown)
    assert one.level == pytest.approx(other.level, rel=0.2)
    assert one.level + other.level == pytest.approx(2 * (LIMIT - 1), rel=0.3)


def test_all_keep_still_at_the_same_moments_of_the_clock() -> None:
    assert left_of_probe(7 * PROBE_EVERY_SECONDS) == pytest.approx(PROBE_SECONDS)
    assert left_of_probe(7 * PROBE_EVERY_SECONDS + PROBE_SECONDS) == 0.0
    assert left_of_probe(8 * PROBE_EVERY_SECONDS - 0.01) == 0.0


async def test_in_a_moment_of_stillness_only_callers_hold_it_back() -> None:
    among, alone = Shown(wall=0.0), Shown(wall=0.0)
    await among.courtesy.give_way(0.001, 1.0)
    await alone.courtesy.give_way(0.001, 0.0)
    assert among.told == [(1.0, PROBE_SECONDS)]
    assert alone.told == [(1.0, 0.0)]


async def test_who_stops_waits_for_no_caller() -> None:
    shown = Shown()
    await shown.courtesy.give_way(LONG, 9.0)
    held = asyncio.create_task(shown.courtesy.give_way(LONG, 9.0))
    await asyncio.sleep(0)
    assert shown.told[-1][1] >= LONG
    shown.courtesy.stop()
    await held
    await shown.courtesy.give_way(LONG, 9.0)
    assert len(shown.told) == 2


def test_callers_wait_behind_small_batches_only() -> None:
    assert duty_after(0.0).share(1_000) == 1_000
    assert duty_after(*[3.0] * 9).share(1_000) == 200
    assert duty_after(*[3.0] * 9).share(1) == 1


async def test_turned_off_it_never_gives_way() -> None:
    shown = Shown(limit=0.0, wall=0.0)
    for _ in range(5):
        await shown.courtesy.give_way(LONG, 99.0)
    assert not shown.told
