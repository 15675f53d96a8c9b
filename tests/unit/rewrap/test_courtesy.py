"""What would go wrong: callers stay slow, a rewrap stops, or it crawls when nobody is there."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from services.rewrap.courtesy import (
    LONGEST_SECONDS,
    LOOK_SECONDS,
    PROBE_EVERY_SECONDS,
    PROBE_SECONDS,
    START,
    STEP_SECONDS,
    Courtesy,
    Duty,
    left_of_probe,
)
from tests.fakes.rewrap_clock import Clock

LIMIT = 1.25
FLOOR = 0.05
PLACES = 4
LONG = 3600.0


class Shown:
    """What a courtesy told; a clock that goes on while all sleep, and one on the wall that stands still."""

    def __init__(self, limit: float = LIMIT, wall: float = PROBE_SECONDS) -> None:
        self.told: list[tuple[float, float]] = []
        self.clock = Clock()
        self.halted = False
        self.courtesy = Courtesy(
            limit,
            floor=FLOOR,
            places=PLACES,
            show=lambda duty, held: self.told.append((duty, held)),
            clock=self.clock,
            wall=lambda: wall,
            sleep=self.clock.sleep,
        )

    @property
    def held(self) -> float:
        """For how many seconds batches were held back."""
        return sum(held for _, held in self.told)

    def hold(self, batches: int, worked: float = LONG) -> list[asyncio.Task[None]]:
        """So many that are held back, until `halted`."""
        return [
            asyncio.create_task(self.courtesy.give_way(worked, 9.0, lambda: self.halted))
            for _ in range(batches)
        ]


def duty_after(*slowdowns: float) -> Duty:
    """A step for each."""
    duty = Duty(LIMIT, floor=FLOOR, places=PLACES)
    for number, slowdown in enumerate(slowdowns):
        duty.learn(number * STEP_SECONDS * 1.01, slowdown)
    return duty


def test_alone_it_works_at_full_speed_and_is_never_held_back() -> None:
    duty = duty_after(0.0, 0.0)
    assert duty.level == 1.0
    assert [duty.left(1.0, duty.line_up(1.0, 5.0)) for _ in range(9)] == [0.0] * 9


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
    waiting = [duty.line_up(5.0, LONG) for _ in range(9)]
    assert duty.left(5.0, waiting[-1]) > 10.0
    duty.learn(6.0, 0.0)
    waiting.append(duty.line_up(6.0, 1.0))
    assert [duty.left(6.0, place) for place in waiting] == [0.0] * 10


def test_who_waits_is_nearer_when_callers_are_more_content() -> None:
    duty = duty_after(*[3.0] * 9)
    waiting = [duty.line_up(5.0, 0.15) for _ in range(128)]
    before = duty.left(5.0, waiting[-1])
    for steps in range(1, 6):
        duty.learn(5.0 + steps * STEP_SECONDS * 1.01, 1.0)
    assert duty.left(8.0, waiting[-1]) < before / 2


def test_however_long_a_batch_took_the_next_one_soon_asks_how_callers_are() -> None:
    duty = duty_after(*[3.0] * 9)
    for _ in range(2):
        place = duty.line_up(5.0, LONG)
    assert duty.left(5.0, place) == pytest.approx(LONGEST_SECONDS)


@pytest.mark.parametrize("lanes", [1, 4, 128])
def test_however_many_lanes_there_are_they_share_one_duty(lanes: int) -> None:
    duty = duty_after(*[3.0] * 9)
    worked = 0.04
    free = [0.0] * lanes
    batches = 0
    while (now := min(free)) < LONG:
        free[free.index(now)] = now + duty.left(now, duty.line_up(now, worked)) + worked
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
    await among.courtesy.give_way(0.001, 1.0, lambda: False)
    await alone.courtesy.give_way(0.001, 0.0, lambda: False)
    assert among.held == pytest.approx(PROBE_SECONDS)
    assert not alone.held


async def test_who_stops_waits_for_no_caller() -> None:
    shown = Shown()
    held = shown.hold(9)
    await shown.clock.sleep(3.0)
    assert not held[-1].done()
    shown.courtesy.stop()
    began = shown.clock.now
    await asyncio.gather(*held)
    assert shown.clock.now <= began + LOOK_SECONDS
    told = len(shown.told)
    await shown.courtesy.give_way(LONG, 9.0, lambda: False)
    assert len(shown.told) == told


async def test_a_lease_that_is_paused_waits_for_no_caller() -> None:
    shown = Shown()
    held = shown.hold(32, worked=0.6)
    await shown.clock.sleep(3.0)
    assert sum(not task.done() for task in held) > 16
    shown.halted = True
    began = shown.clock.now
    await asyncio.gather(*held)
    assert shown.clock.now <= began + LOOK_SECONDS


async def test_who_is_held_back_goes_on_when_another_finds_the_callers_gone() -> None:
    shown = Shown()
    held = shown.hold(9)
    await shown.clock.sleep(3.0)
    assert not held[-1].done()
    began = shown.clock.now
    await shown.courtesy.give_way(0.001, 0.0, lambda: False)
    await asyncio.gather(*held)
    assert shown.clock.now <= began + LOOK_SECONDS
    assert shown.told[0][0] == START
    assert shown.told[-1][0] == 1.0


def test_callers_wait_behind_small_batches_only() -> None:
    assert duty_after(0.0).share(1_000) == 1_000
    assert duty_after(*[3.0] * 9).share(1_000) == 200
    assert duty_after(*[3.0] * 9).share(1) == 1


async def test_turned_off_it_never_gives_way() -> None:
    shown = Shown(limit=0.0, wall=0.0)
    for _ in range(5):
        await shown.courtesy.give_way(LONG, 99.0, lambda: False)
    assert not shown.told
