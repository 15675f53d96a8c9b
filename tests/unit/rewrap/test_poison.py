"""Batches that fail by a defect: the one key that does it is found and passed over, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.common.errors import (
    CofferError,
    DeadlineError,
    InternalError,
    TenantSealedError,
    UnavailableError,
)
from services.rewrap.run import Ended
from tests.fakes.rewrap_around import scene

if TYPE_CHECKING:
    from uuid import UUID

    from services.rewrap.model import Batch
    from tests.fakes.rewrap_around import Scene


@pytest.mark.parametrize("place", [0, 1, 499, 500, 998, 999])
async def test_one_poisoned_key_is_passed_over_and_the_rest_is_moved(place: int) -> None:
    here = scene(1000, batch=1000)
    poisoned = sorted(here.leases.keys)[place]
    here.leases.poisoned = {poisoned}
    assert await here.work() is Ended.FAILED
    assert (here.leases.row.done, here.leases.row.failed) == (999, 1)
    assert [key for key, version in here.leases.keys.items() if version == 1] == [poisoned]
    assert len(here.leases.batches) < 150


async def test_several_poisoned_keys_do_not_stop_the_other_lanes() -> None:
    here = scene(2000, batch=100)
    here.leases.poisoned = set(sorted(here.leases.keys)[100:2000:400])
    assert await here.work() is Ended.FAILED
    assert (here.leases.row.done, here.leases.row.failed) == (1995, 5)
    assert here.states == ["running", "failed"]


async def test_a_defect_that_passes_fails_no_key() -> None:
    here = scene(200, batch=100)
    here.leases.obstacles = [InternalError() for _ in range(3)]
    assert await here.work() is Ended.COMPLETED
    assert here.leases.row.failed == 0


@pytest.mark.parametrize("error", [UnavailableError(), TenantSealedError()])
async def test_an_outage_never_passes_a_key_over(error: CofferError) -> None:
    here = scene(10, batch=10)
    for _ in range(30):
        here.leases.obstacles = [error]
        assert await here.work() is Ended.WAITING
        here.clock.now += 60
    assert here.leases.row.failed == 0
    assert here.leases.row.lanes[0].troubles == 0


async def test_a_defect_of_everything_makes_the_lease_wait_instead_of_failing_every_key() -> None:
    here = scene(500, lanes=1, batch=100)
    here.leases.poisoned = set(here.leases.keys)
    began = here.clock.now
    for _ in range(5):
        assert await here.work() is Ended.WAITING
        assert here.leases.row.next_attempt_at is not None
        here.clock.now = max(here.clock.now, here.leases.row.next_attempt_at)
    assert here.leases.row.failed <= 15
    assert here.clock.now - began >= 5 * 30


async def test_who_takes_over_goes_on_with_the_small_batch_that_failed_last() -> None:
    here = scene(1000, batch=1000)
    here.leases.poisoned = {min(here.leases.keys)}
    claim = await here.leases.claim(here.leases.ref, wanted=1, batch=1000)
    assert claim is not None
    for _ in range(9):
        await here.leases.trouble(here.leases.ref, claim.lanes[0].hold)
    here.clock.now += 10
    assert await here.work() is Ended.FAILED
    assert here.leases.batches[0].limit == 1


def _poison_verification(here: Scene, poisoned: set[UUID]) -> None:
    """Keys that can be moved, and cannot be verified."""

    def poison(_: object) -> None:
        if here.leases.stale == 0:
            here.leases.poisoned = poisoned

    here.leases.on_batch = poison


@pytest.mark.parametrize("place", [0, 24, 49])
async def test_a_key_that_breaks_every_verification_it_is_in_is_passed_over(place: int) -> None:
    here = scene(50, batch=25, sample=None)
    _poison_verification(here, {sorted(here.leases.keys)[place]})
    assert await here.work() is Ended.FAILED
    row = here.leases.row
    assert (row.done, row.verified, row.failed) == (50, 49, 1)
    assert here.states == ["running", "failed"]


async def test_a_poisoned_key_that_ends_a_sample_ends_the_lane() -> None:
    here = scene(1000, lanes=1, batch=1000, sample=1)
    _poison_verification(here, set(here.leases.keys))
    assert await here.work() is Ended.FAILED
    assert (here.leases.row.verified, here.leases.row.failed) == (0, 1)


async def test_a_defect_of_every_verification_makes_the_lease_wait_and_go_on() -> None:
    here = scene(500, lanes=1, batch=100, sample=None)
    _poison_verification(here, set(here.leases.keys))
    assert await here.work() is Ended.WAITING
    assert here.leases.row.failed <= 3
    failed = here.leases.row.failed
    _poison_verification(here, set())
    here.clock.now += 60
    assert await here.work() is Ended.FAILED
    assert (here.leases.row.verified, here.leases.row.failed) == (500 - failed, failed)


async def test_a_defect_of_verification_that_passes_fails_no_key() -> None:
    here = scene(50, batch=10, sample=None)

    def break_once(_: object) -> None:
        if here.leases.stale == 0:
            here.leases.on_batch = lambda _: None
            here.leases.obstacles = [InternalError(), InternalError()]

    here.leases.on_batch = break_once
    assert await here.work() is Ended.COMPLETED
    assert (here.leases.row.verified, here.leases.row.failed) == (50, 0)


async def _until_it_ends(here: Scene, most: int = 100) -> int:
    """Work on the lease whenever it is due; how often that was."""
    for times in range(1, most):
        if await here.work() is Ended.FAILED:
            return times
        here.clock.now = max(here.clock.now, here.leases.row.next_attempt_at or 0)
    raise AssertionError(here.leases.row)


async def test_a_key_that_cannot_even_be_passed_over_keeps_no_other_from_being_moved() -> None:
    here = scene(2000, batch=20)
    here.leases.unreadable = set(sorted(here.leases.keys)[::400])
    began = here.clock.now
    await here.work()
    left = here.leases.stale
    assert left <= 5 * 2000 / 32
    assert here.leases.row.done == 2000 - left
    await _until_it_ends(here)
    assert here.leases.row.state == "failed"
    assert here.leases.unreadable <= {key for key, at in here.leases.keys.items() if at == 1}
    assert 60 < here.clock.now - began < 3600


async def test_a_lane_that_is_given_up_had_time_for_the_defect_to_pass() -> None:
    here = scene(100, lanes=1, batch=100)
    here.leases.unreadable = {max(here.leases.keys)}
    for _ in range(6):
        assert await here.work() is Ended.WAITING
        here.clock.now = max(here.clock.now, here.leases.row.next_attempt_at or 0)
    here.leases.unreadable = set()
    assert await here.work() is Ended.COMPLETED
    assert (here.leases.row.done, here.leases.row.failed) == (100, 0)


async def test_a_key_that_cannot_be_read_to_be_verified_makes_the_lease_fail() -> None:
    here = scene(100, batch=25, sample=None)

    def damage(_: object) -> None:
        if here.leases.stale == 0:
            here.leases.unreadable = {min(here.leases.keys)}

    here.leases.on_batch = damage
    await _until_it_ends(here)
    assert (here.leases.row.done, here.leases.row.failed) == (100, 0)
    assert here.leases.row.verified >= 50


async def test_a_batch_that_is_too_slow_is_halved_until_it_ends_in_time() -> None:
    here = scene(5000, batch=2000)

    def hang(batch: Batch) -> None:
        if batch.limit > 500:
            raise DeadlineError

    here.leases.on_batch = hang
    for _ in range(20):
        if await here.work() is Ended.COMPLETED:
            break
        here.clock.now += 60
    assert (here.leases.row.done, here.leases.row.failed) == (5000, 0)
    assert sum(batch.limit > 500 for batch in here.leases.batches) < 20


async def test_too_slow_batches_pass_no_key_over_and_give_no_lane_up() -> None:
    here = scene(10, batch=10)
    for _ in range(100):
        here.leases.obstacles = [DeadlineError()]
        assert await here.work() is Ended.WAITING
        here.clock.now += 60
    # However often: a single defect after them is a first one.
    here.leases.obstacles = [InternalError()]
    assert await here.work() is Ended.COMPLETED
    assert here.leases.row.failed == 0


async def test_lanes_that_fail_do_not_stop_the_others() -> None:
    here = scene(2000, batch=20)
    broken = {0, 1, 2}

    def obstruct(batch: Batch) -> None:
        if batch.lane.number in broken:
            raise UnavailableError

    here.leases.on_batch = obstruct
    assert await here.work() is Ended.WAITING
    assert here.leases.row.last_error == UnavailableError().message
    assert {n for n, row in here.leases.row.lanes.items() if not row.finished} == broken
    assert here.leases.row.attempts == 1


async def test_a_lane_that_failed_once_goes_on_while_the_others_work() -> None:
    here = scene(2000, batch=20)
    here.leases.batch_seconds = 0.5
    failing = iter([UnavailableError(), DeadlineError()])

    def obstruct(batch: Batch) -> None:
        if batch.lane.number == 2 and (error := next(failing, None)):
            raise error

    here.leases.on_batch = obstruct
    assert await here.work() is Ended.COMPLETED
    assert here.states == ["running", "completed"]
    assert {batch.fence for batch in here.leases.batches if batch.lane.number == 2} == {1}
