"""What would go wrong: callers are slow and nobody says so, or one call in a thousand stops a rewrap."""

from __future__ import annotations

from contextlib import suppress

import pytest

from services.secrets.foreground import (
    ACCESS,
    CREATE,
    IDLE_SECONDS,
    KNOWN,
    SETTLE_SECONDS,
    UNKNOWN,
    Foreground,
    batch,
)

FAST = 0.01
SLOW = 0.03


class Callers:
    """Calls of known length, one after another, on a clock of their own."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.foreground = Foreground(lambda: self.now)

    def call(self, count: int, seconds: float, kind: str = CREATE) -> None:
        for _ in range(count):
            with self.foreground.call(kind):
                self.now += seconds

    def call_beside_a_batch(self, count: int, seconds: float, kind: str = CREATE) -> None:
        with self.foreground.working():
            self.call(count, seconds, kind)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    @property
    def slowdown(self) -> float:
        return self.foreground.slowdown()


@pytest.fixture
def callers() -> Callers:
    return Callers()


def test_nothing_is_said_while_nobody_calls(callers: Callers) -> None:
    assert callers.slowdown == 0.0
    callers.call(100, FAST)
    callers.wait(IDLE_SECONDS * 1.1)
    assert callers.slowdown == 0.0


def test_a_rewrap_that_is_met_at_full_speed_is_told_to_leave_gaps(callers: Callers) -> None:
    callers.call_beside_a_batch(500, SLOW)
    assert callers.slowdown == UNKNOWN
    callers.wait(2 * SETTLE_SECONDS)
    callers.call(KNOWN, FAST)
    callers.call_beside_a_batch(500, SLOW)
    assert callers.slowdown == pytest.approx(SLOW / FAST)


def test_what_is_known_of_some_calls_is_told_before_others_are(callers: Callers) -> None:
    callers.call(200, FAST)
    callers.call_beside_a_batch(100, SLOW, ACCESS)
    callers.call(100, FAST)
    assert callers.slowdown == pytest.approx(1.0)


def test_slow_calls_are_told_whether_a_batch_is_at_work_or_not(callers: Callers) -> None:
    callers.call(200, FAST)
    assert callers.slowdown == pytest.approx(1.0)
    callers.call_beside_a_batch(200, SLOW)
    assert callers.slowdown == pytest.approx(SLOW / FAST)


def test_what_was_slow_for_a_batch_is_never_taken_for_normal(callers: Callers) -> None:
    callers.call(200, FAST)
    for _ in range(100):
        callers.call_beside_a_batch(10, SLOW)
        callers.wait(SETTLE_SECONDS / 2)
        callers.call(1, SLOW)
    assert callers.slowdown == pytest.approx(SLOW / FAST)


def test_a_call_under_way_when_a_batch_comes_is_not_normal_either(callers: Callers) -> None:
    callers.call(200, FAST)
    for _ in range(100):
        with callers.foreground.call(CREATE):
            callers.wait(SLOW / 2)
            with callers.foreground.working():
                callers.wait(SLOW / 2)
        callers.wait(SETTLE_SECONDS)
    assert callers.slowdown == pytest.approx(SLOW / FAST)


def test_a_heavier_load_becomes_normal_in_the_gaps_between_batches(callers: Callers) -> None:
    callers.call(200, FAST)
    for _ in range(20):
        callers.call_beside_a_batch(10, 3 * SLOW)
        callers.wait(SETTLE_SECONDS)
        callers.call(50, SLOW)
    callers.call_beside_a_batch(200, 3 * SLOW)
    assert callers.slowdown == pytest.approx(3.0, rel=0.05)


def test_a_lighter_load_becomes_normal_even_beside_a_batch(callers: Callers) -> None:
    callers.call(200, SLOW)
    with callers.foreground.working():
        for _ in range(50):
            callers.call(20, FAST)
            callers.foreground.slowdown()
        assert callers.slowdown == pytest.approx(1.0, rel=0.05)
        callers.call(200, SLOW)
    assert callers.slowdown == pytest.approx(SLOW / FAST, rel=0.05)


def test_one_call_that_hangs_says_nothing_of_the_others(callers: Callers) -> None:
    callers.call(200, FAST)
    began = callers.foreground.began()
    callers.wait(30.0)
    callers.call(100, FAST)
    callers.foreground.ended(CREATE, began, failed=False)
    callers.call(1, FAST)
    assert callers.slowdown < 1.25


def test_calls_that_fail_are_not_measured(callers: Callers) -> None:
    callers.call(200, FAST)
    for _ in range(200):
        with suppress(ValueError), callers.foreground.call(CREATE):
            callers.wait(FAST / 100)
            raise ValueError
    assert callers.slowdown == pytest.approx(1.0)


def test_while_callers_wait_for_their_first_answer_what_was_told_stays(callers: Callers) -> None:
    callers.call(200, FAST)
    callers.call_beside_a_batch(200, SLOW)
    assert callers.slowdown == pytest.approx(SLOW / FAST)
    with callers.foreground.call(CREATE):
        callers.wait(30.0)
        assert callers.slowdown == pytest.approx(SLOW / FAST)


def test_a_change_from_one_kind_of_call_to_another_is_no_slowdown(callers: Callers) -> None:
    for _ in range(100):
        callers.call(1, SLOW, CREATE)
        callers.call(1, FAST, ACCESS)
        callers.call(1, 50 * FAST, batch(100))
    callers.call_beside_a_batch(50, 50 * FAST, batch(100))
    assert callers.slowdown == pytest.approx(1.0)


def test_few_calls_are_compared_over_a_longer_time(callers: Callers) -> None:
    callers.call(200, FAST)
    callers.wait(5.0)
    with callers.foreground.working():
        for number in range(12):
            callers.call(1, SLOW if number % 2 else FAST)
            callers.wait(0.3)
        assert callers.slowdown == pytest.approx((SLOW / FAST + 1) / 2, rel=0.1)


def test_reads_of_many_values_are_compared_with_their_like() -> None:
    assert batch(100) == batch(65)
    assert len({batch(size) for size in (1, 2, 5, 10, 20, 50, 100)}) == 7
    assert batch(10**6) == batch(1023)
