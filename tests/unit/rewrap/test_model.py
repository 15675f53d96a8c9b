"""The decisions about leases, each named after what a wrong one would do."""

from __future__ import annotations

import itertools
import uuid

import pytest

from services.rewrap.model import (
    MAX_PASSES,
    Verdict,
    judge,
    retry_delay,
    seats,
    split_lanes,
    verify_lanes,
)
from tests.fakes.rewrap_leases import lease


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7, 64])
def test_lanes_leave_no_id_out_and_share_none(most: int) -> None:
    lanes = split_lanes(1_000_000, 1000, most)
    assert len(lanes) == most
    assert lanes[0].after is None
    assert lanes[-1].until == uuid.UUID(int=(1 << 128) - 1)
    for before, lane in itertools.pairwise(lanes):
        assert lane.after == before.until
        assert before.until < lane.until


def test_lanes_are_even() -> None:
    lanes = split_lanes(1_000_000, 1000, 4)
    assert [lane.until.int >> 126 for lane in lanes] == [0, 1, 2, 3]


@pytest.mark.parametrize(("total", "lanes"), [(1, 1), (1000, 1), (1001, 2), (4000, 4), (9999, 4)])
def test_a_small_lease_is_not_cut_into_more_lanes_than_it_has_batches(
    total: int, lanes: int
) -> None:
    assert len(split_lanes(total, 1000, 4)) == lanes


@pytest.mark.parametrize(
    ("stale", "failed", "passes", "verdict"),
    [
        (0, 0, 1, Verdict.COMPLETED),
        (2, 2, 1, Verdict.FAILED),
        (1, 2, 1, Verdict.FAILED),
        (0, 2, 1, Verdict.FAILED),
        (3, 2, 1, Verdict.AGAIN),
        (1, 0, MAX_PASSES - 1, Verdict.AGAIN),
        (1, 0, MAX_PASSES, Verdict.FAILED),
    ],
)
def test_a_lease_is_completed_only_when_nothing_is_stale(
    stale: int, failed: int, passes: int, verdict: Verdict
) -> None:
    assert judge(stale=stale, failed=failed, passes=passes) is verdict


def test_a_sealed_tenant_is_tried_less_and_less_often_but_at_least_every_40_seconds() -> None:
    delays = [retry_delay(attempt, 0.5) for attempt in range(1, 9)]
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]
    assert retry_delay(10_000, 1.0) == pytest.approx(37.5)


def test_many_leases_do_not_come_back_at_the_same_moment() -> None:
    assert retry_delay(3, 0.0) == pytest.approx(3)
    assert retry_delay(3, 1.0) == pytest.approx(5)


@pytest.mark.parametrize(
    ("changes", "eta"),
    [
        ({}, 3),
        ({"done": 41}, 3),
        ({"done": 99}, 1),
        ({"done": 100}, 0),
        ({"done": 90, "skipped": 20}, 0),
        ({"to_verify": 10}, 5),  # each takes four times as long
        ({"to_verify": 10, "throttle_per_second": 20}, 4),
        ({"done": 100, "verifying": True, "to_verify": 50, "verified": 10}, 2),
        ({"done": 100, "verifying": True, "to_verify": 50, "verified": 64}, 0),
        ({"rate_per_second": None}, None),
        ({"rate_per_second": 0.0}, None),
        ({"total": None}, None),
        ({"state": "waiting"}, None),
        ({"state": "completed"}, None),
    ],
)
def test_time_left_is_told_only_when_it_can_be_believed(
    changes: dict[str, object], eta: int | None
) -> None:
    assert lease(**changes).eta_seconds == eta


@pytest.mark.parametrize(
    ("lanes_left", "wanted"), [(None, 1), (0, 1), (1, 1), (4, 1), (5, 2), (32, 8), (1000, 16)]
)
def test_a_lease_asks_for_as_many_workers_as_its_lanes_need(
    lanes_left: int | None, wanted: int
) -> None:
    assert seats(lanes_left, 4) == wanted


@pytest.mark.parametrize("keys", [1, 999, 1000, 12_345, 1_000_000])
@pytest.mark.parametrize("sample", [1, 10, 1000, 10_000])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_a_sample_is_as_large_as_was_asked_for(keys: int, sample: int, chance: float) -> None:
    """The ids are spread evenly; so this counts the ids that the lanes would find."""
    space = 1 << 128
    seen = 0
    for lane in verify_lanes(keys, sample, 1000, lambda: chance):
        first = lane.after.int if lane.after else 0
        within = round((lane.until.int - first) / space * keys)
        seen += within if lane.quota is None else min(within, lane.quota)
    assert seen >= min(sample, keys)
    assert seen <= max(2 * sample + 64, 1.3 * sample)


def test_all_keys_are_verified_when_that_is_asked_for() -> None:
    lanes = verify_lanes(1_000_000, None, 1000, lambda: 0.5)
    assert [lane.quota for lane in lanes] == [None] * 32
    assert lanes[0].after is None
    assert lanes[-1].until == uuid.UUID(int=(1 << 128) - 1)


@pytest.mark.parametrize(("keys", "sample"), [(0, 10), (0, None), (10, 0)])
def test_nothing_is_verified_where_there_is_nothing_or_nobody_asked(
    keys: int, sample: int | None
) -> None:
    assert verify_lanes(keys, sample, 1000, lambda: 0.5) == []
