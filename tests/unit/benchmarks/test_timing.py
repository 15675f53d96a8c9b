"""What would make a load generator count what it did not do, or go on for ever."""

from __future__ import annotations

import time

import pytest

from benchmarks.timing import Window


def test_what_finishes_in_the_warm_up_is_not_measured() -> None:
    window = Window(seconds=10, warm_up=10)
    now = time.perf_counter()
    window.done(now, now + 5)
    window.done(now + 10, now + 12)
    window.done(now + 10, now + 14)
    told = window.answer()
    assert told["total"] == 3
    assert told["rate"] == pytest.approx(2 / 4, rel=0.01)
    assert told["p99_ms"] == pytest.approx(4_000, rel=0.01)


def test_nothing_begins_after_the_end() -> None:
    window = Window(seconds=1, warm_up=1)
    now = time.perf_counter()
    assert window.more(now)
    assert not window.more(now + 3)


def test_exactly_the_count_is_begun() -> None:
    window = Window(seconds=10, count=3)
    now = time.perf_counter()
    assert [window.more(now) for _ in range(5)] == [True, True, True, False, False]


def test_nothing_begins_after_a_failure() -> None:
    window = Window(seconds=10)
    window.failed("500")
    assert not window.more(time.perf_counter())
    assert window.answer()["failures"] == {"500": 1}
