"""Batches that fail by a defect: the one key that does it is found and passed over, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.common.errors import CofferError, InternalError, TenantSealedError, UnavailableError
from services.rewrap.run import Ended
from tests.fakes.rewrap_around import scene

if TYPE_CHECKING:
    from uuid import UUID

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
