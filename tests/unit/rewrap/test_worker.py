"""A worker and a lease: what must hold whatever is in the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from services.common.errors import InvalidStateError, TenantSealedError, UnavailableError
from services.rewrap.model import Hold
from services.rewrap.run import Ended
from tests.fakes.rewrap_around import scene

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.errors import CofferError
    from services.rewrap.model import Batch


async def test_every_key_is_moved_and_counted_once() -> None:
    here = scene(1000)
    assert await here.work() is Ended.COMPLETED
    assert here.leases.stale == 0
    assert (here.leases.row.total, here.leases.row.done) == (1000, 1000)
    assert here.states == ["running", "completed"]
    assert {batch.lane.number for batch in here.leases.batches} == set(range(32))
    assert here.observer.keys == 1000
    assert here.observer.held == 0


async def test_a_lease_without_keys_is_completed_without_asking_secrets() -> None:
    here = scene(0)
    assert await here.work() is Ended.COMPLETED
    assert here.leases.batches == []


async def test_damaged_keys_are_passed_over_and_the_lease_says_it_failed() -> None:
    here = scene(100)
    here.leases.damaged = set(list(here.leases.keys)[:3])
    assert await here.work() is Ended.FAILED
    assert (here.leases.row.done, here.leases.row.failed) == (97, 3)


async def test_a_lease_that_ended_is_not_worked_on_again() -> None:
    here = scene(50)
    await here.work()
    batches = len(here.leases.batches)
    assert await here.work() is Ended.REFUSED
    assert len(here.leases.batches) == batches


@pytest.mark.parametrize("error", [TenantSealedError(), UnavailableError()])
async def test_what_is_in_the_way_makes_the_lease_wait_and_say_why(error: CofferError) -> None:
    here = scene(100)
    here.leases.obstacles = [error]
    assert await here.work() is Ended.WAITING
    assert here.leases.row.state == "waiting"
    assert here.leases.row.last_error == error.message


async def test_a_sealed_tenant_is_asked_once_and_its_worker_is_free() -> None:
    here = scene(100, lanes=1)
    here.leases.obstacles = [TenantSealedError()] * 9
    assert await here.work() is Ended.WAITING
    assert len(here.leases.batches) == 1


async def test_a_waiting_lease_is_left_alone_until_it_is_due() -> None:
    here = scene(100, lanes=1)
    here.leases.obstacles = [TenantSealedError()]
    await here.work()
    assert await here.work() is Ended.REFUSED
    assert here.leases.row.next_attempt_at is not None
    here.clock.now = here.leases.row.next_attempt_at
    assert await here.work() is Ended.COMPLETED


async def test_the_pause_grows_while_nothing_moves_and_begins_anew_once_something_did() -> None:
    here = scene(100, lanes=1)
    pauses = []
    for _ in range(4):
        here.leases.obstacles = [TenantSealedError()]
        await here.work()
        assert here.leases.row.next_attempt_at is not None
        pauses.append(here.leases.row.next_attempt_at - here.clock.now)
        here.clock.now = here.leases.row.next_attempt_at
    assert pauses == pytest.approx([1, 2, 4, 8])

    def obstruct(batch: Batch) -> None:
        if batch.lane.after is not None:
            here.leases.obstacles = [TenantSealedError()]

    here.leases.on_batch = obstruct
    await here.work()
    assert here.leases.row.attempts == 1


async def test_an_answer_that_was_lost_counts_no_key_twice() -> None:
    here = scene(100, lanes=1)
    here.leases.lose_the_answer_of = {2}
    assert await here.work() is Ended.WAITING
    assert 0 < here.leases.row.done == 100 - here.leases.stale
    here.clock.now += 60
    assert await here.work() is Ended.COMPLETED
    assert here.leases.row.done == 100


async def test_a_superseded_lease_is_let_be() -> None:
    here = scene(100, lanes=1)

    def supersede(batch: Batch) -> None:
        here.leases.row.fence += 1
        here.leases.row.go("superseded")

    here.leases.on_batch = supersede
    assert await here.work() is Ended.LOST
    assert here.leases.row.state == "superseded"
    assert len(here.leases.batches) == 1


async def test_a_lease_resumed_before_its_worker_noticed_the_pause_goes_on_at_once() -> None:
    here = scene(2000, lanes=1)
    here.leases.batch_seconds = 2

    def step(state: str) -> None:
        here.leases.row.go(state)
        for lane in here.leases.row.lanes.values():
            lane.held_until = None

    def pause(batch: Batch) -> None:
        if len(here.leases.batches) == 3:
            step("paused")
            asyncio.get_running_loop().call_soon(step, "enqueued")

    here.leases.on_batch = pause
    assert await here.work() is Ended.COMPLETED
    assert here.states == ["running", "paused", "enqueued", "running", "completed"]
    assert here.leases.row.done == 2000


async def test_a_worker_woken_after_another_took_over_changes_nothing() -> None:
    here = scene(100, lanes=1)
    leases, ref = here.leases, here.leases.ref
    sleeper = await leases.claim(ref, wanted=1, batch=10)
    assert sleeper is not None
    holds = [claimed.hold for claimed in sleeper.lanes]
    here.clock.now += 10
    assert await here.work() is Ended.COMPLETED
    assert not await leases.wait(ref, holds, attempts=1, delay_seconds=1, error="late", alone=False)
    assert not await leases.release(ref, holds)
    assert await leases.settle(ref, batch=10, sample=0) is None
    with pytest.raises(InvalidStateError):
        await leases.rewrap(leases.batches[0])
    assert leases.row.state == "completed"


async def test_a_dead_workers_lanes_are_taken_over_when_its_hold_has_passed() -> None:
    here = scene(100)
    dead = await here.leases.claim(here.leases.ref, wanted=32, batch=10)
    assert dead is not None
    began = here.clock.now
    assert await here.work() is Ended.COMPLETED
    assert here.leases.row.done == 100
    assert here.clock.now - began < 7


async def test_a_worker_leaves_what_is_left_to_the_living() -> None:
    here = scene(100)
    other = await here.leases.claim(here.leases.ref, wanted=32, batch=10)
    assert other is not None
    holds = [claimed.hold for claimed in other.lanes]
    working = asyncio.create_task(here.work())
    while not working.done():
        await here.clock.sleep(0.5)
        await here.leases.report(here.leases.ref, holds)
    assert await working is Ended.SPARED
    assert here.leases.row.state == "running"
    assert here.leases.batches == []


async def test_two_workers_share_a_lease_and_move_nothing_twice() -> None:
    here = scene(500)
    here.leases.batch_seconds = 0.1
    other = here.another()
    both = await asyncio.gather(here.work(), other.work(here.leases.ref))
    assert Ended.COMPLETED in both
    assert here.leases.row.done == 500
    lanes = {batch.lane.number: batch.fence for batch in here.leases.batches}
    assert sum(fence == 1 for fence in lanes.values()) == 4
    assert len(here.leases.batches) == len(
        {(b.lane.number, b.lane.after) for b in here.leases.batches}
    )


async def test_a_worker_that_is_called_twice_for_a_lease_refuses_the_second() -> None:
    here = scene(100)
    first = asyncio.create_task(here.work())
    await asyncio.sleep(0)
    assert here.worker.works_on(here.leases.ref)
    assert await here.work() is Ended.REFUSED
    assert await first is Ended.COMPLETED
    assert not here.worker.works_on(here.leases.ref)


async def test_one_workers_lost_connection_does_not_make_the_others_wait() -> None:
    here = scene(2000, batch=10)
    here.leases.batch_seconds = 0.1

    class Unreachable:
        async def rewrap(self, batch: Batch) -> None:
            raise UnavailableError

        verify = rewrap

    cut_off = here.another(Unreachable())  # type: ignore[arg-type]
    working = asyncio.create_task(here.work())
    await here.clock.sleep(0.3)
    assert await cut_off.work(here.leases.ref) is Ended.SPARED
    assert await working is Ended.COMPLETED
    assert "waiting" not in here.states


async def test_a_lane_that_somebody_else_took_is_let_be_and_the_others_go_on() -> None:
    here = scene(1000, lanes=2, batch=10)

    def steal(batch: Batch) -> None:
        if len(here.leases.batches) == 3:
            lane = here.leases.row.lanes[batch.lane.number]
            lane.fence, lane.held_until = 99, here.clock.now + 5

    here.leases.on_batch = steal
    assert await here.work() is Ended.COMPLETED
    assert here.leases.row.done == 1000


async def test_a_lease_makes_way_when_its_time_is_up_and_others_wait() -> None:
    here = scene(2_000, lanes=1, slice_seconds=1)
    here.leases.batch_seconds = 0.1
    here.queue.is_crowded = True
    assert await here.work() is Ended.YIELDED
    assert here.leases.row.state == "enqueued"
    assert here.queue.jobs == [here.leases.ref]
    here.queue.is_crowded = False
    assert await here.work() is Ended.COMPLETED


async def test_a_stopping_worker_gives_its_lease_back() -> None:
    here = scene(10_000, lanes=2)
    here.leases.on_batch = lambda _: here.worker.stop()
    assert await here.work() is Ended.STOPPED
    assert here.leases.row.state == "enqueued"
    assert await here.work() is Ended.REFUSED


async def test_a_worker_that_is_cancelled_gives_its_lease_back() -> None:
    here = scene(10_000)
    begun = asyncio.Event()
    here.leases.on_batch = lambda _: begun.set()
    here.leases.batch_seconds = 1
    task = asyncio.create_task(here.work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here.leases.row.state == "enqueued"
    assert here.observer.held == 0
    assert here.observer.seen == {}


async def test_a_defect_leaves_a_lease_that_goes_on_later() -> None:
    here = scene(100, lanes=1)

    def fail(batch: Batch) -> None:
        raise RuntimeError("a defect")

    here.leases.on_batch = fail
    with pytest.raises(ExceptionGroup):
        await here.work()
    assert here.leases.row.state == "waiting"
    assert "defect" not in (here.leases.row.last_error or "")


async def test_keys_left_behind_are_gone_through_again() -> None:
    here = scene(100, lanes=1)
    late: list[UUID] = []

    def hide(batch: Batch) -> None:
        if not late:
            late.extend(sorted(here.leases.keys)[:5])
            for key in late:
                here.leases.keys[key] = here.leases.row.target_version
        elif batch.lane.number == 5:
            for key in late:
                here.leases.keys[key] = 1

    here.leases.on_batch = hide
    assert await here.work() is Ended.COMPLETED
    assert here.leases.stale == 0
    assert here.leases.row.passes == 2


async def test_the_report_is_signed_when_the_lease_has_ended() -> None:
    here = scene(10)
    await here.work()
    assert here.leases.signed == [here.leases.ref]


async def test_no_report_is_asked_for_before_the_lease_has_ended() -> None:
    here = scene(10)
    here.leases.obstacles = [UnavailableError()]
    await here.work()
    assert here.leases.signed == []


@pytest.mark.parametrize(("sample", "opened"), [(0, 0), (40, 40), (5_000, 300), (None, 300)])
async def test_a_sample_is_opened_before_a_lease_is_completed(
    sample: int | None, opened: int
) -> None:
    here = scene(300, sample=sample)
    assert await here.work() is Ended.COMPLETED
    assert opened <= here.leases.row.verified <= opened + 32
    assert here.leases.row.done == 300


async def test_a_key_that_does_not_open_afterwards_makes_the_lease_fail() -> None:
    here = scene(100, sample=None)

    def damage(batch: Batch) -> None:
        if batch.lane.kind == "verify":
            here.leases.damaged = set(list(here.leases.keys)[:2])

    here.leases.on_batch = damage
    assert await here.work() is Ended.FAILED
    assert (here.leases.row.verified, here.leases.row.failed) == (98, 2)


async def test_a_hold_says_nothing_about_other_lanes() -> None:
    here = scene(100)
    claim = await here.leases.claim(here.leases.ref, wanted=1, batch=10)
    assert claim is not None
    told = await here.leases.report(here.leases.ref, [Hold(0, 1), Hold(1, 1), Hold(0, 2)])
    assert told is not None
    assert told.ours == {Hold(0, 1)}
