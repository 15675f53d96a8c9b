"""A worker and a lease: what must hold whatever is in the way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from services.common.errors import InvalidStateError, TenantSealedError, UnavailableError
from services.rewrap.run import Effort, Ended
from services.rewrap.worker import Worker
from tests.fakes.rewrap_leases import Clock, Leases, Observer, Queue

if TYPE_CHECKING:
    from services.common.errors import CofferError
    from services.rewrap.model import Batch


@dataclass
class Scene:
    leases: Leases
    queue: Queue
    observer: Observer
    clock: Clock
    worker: Worker

    @property
    def states(self) -> list[str]:
        return self.leases.row.states

    async def work(self) -> Ended:
        return await self.worker.work(self.leases.ref)


def scene(keys: int = 100, *, lanes: int = 4, batch: int = 10, slice_seconds: float = 1e9) -> Scene:
    clock, queue, observer = Clock(), Queue(), Observer()
    leases = Leases(clock, keys)
    worker = Worker(
        leases,
        leases,
        queue,
        observer,
        Effort(lanes, batch, slice_seconds),
        clock=clock,
        sleep=clock.sleep,
        chance=lambda: 0.5,
    )
    return Scene(leases, queue, observer, clock, worker)


async def test_every_key_is_moved_and_counted_once() -> None:
    here = scene(1000)
    assert await here.work() is Ended.COMPLETED
    assert here.leases.stale == 0
    assert (here.leases.row.total, here.leases.row.done) == (1000, 1000)
    assert here.states == ["running", "completed"]
    assert {batch.lane.number for batch in here.leases.batches} == {0, 1, 2, 3}
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
    assert here.leases.row.done == 20
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


async def test_a_worker_woken_after_another_took_over_changes_nothing() -> None:
    here = scene(100, lanes=1)
    sleeper = await here.leases.take(here.leases.ref, lanes=1, batch=10)
    assert sleeper is not None
    assert await here.work() is Ended.COMPLETED
    leases, ref = here.leases, here.leases.ref
    assert await leases.settle(ref, sleeper.fence, lanes=1, batch=10) is None
    assert not await leases.wait(ref, sleeper.fence, attempts=1, delay_seconds=1, error="late")
    assert not await leases.release(ref, sleeper.fence)
    with pytest.raises(InvalidStateError):
        await leases.rewrap(leases.batches[0])
    assert leases.row.state == "completed"


async def test_two_workers_on_one_lease_do_no_harm() -> None:
    here = scene(500)
    other = Worker(
        here.leases, here.leases, here.queue, here.observer, Effort(4, 10), clock=here.clock,
        sleep=here.clock.sleep, chance=lambda: 0.5,
    )  # fmt: skip
    await asyncio.gather(here.work(), other.work(here.leases.ref))
    here.clock.now += 60
    await here.work()
    assert here.leases.row.state == "completed"
    assert here.leases.row.done == 500


async def test_a_lease_makes_way_when_its_time_is_up_and_others_wait() -> None:
    here = scene(2_000, lanes=1, slice_seconds=1)
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
    task = asyncio.create_task(here.work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here.leases.row.state == "enqueued"
    assert here.observer.held == 0


async def test_a_defect_leaves_a_lease_that_goes_on_later() -> None:
    here = scene(100, lanes=1)

    def fail(batch: Batch) -> None:
        raise RuntimeError("a defect")

    here.leases.on_batch = fail
    with pytest.raises(ExceptionGroup):
        await here.work()
    assert here.leases.row.state == "waiting"
    assert "defect" not in (here.leases.row.last_error or "")


async def test_the_throttle_of_the_lease_is_kept_by_all_lanes_together() -> None:
    here = scene(2000, lanes=4, batch=100)
    here.leases.row.throttle = 100
    asked = [(here.clock.now, 0)]
    here.leases.on_batch = lambda batch: asked.append((here.clock.now, batch.limit))
    assert await here.work() is Ended.COMPLETED
    admitted = 0
    for moment, limit in asked:
        assert admitted <= 100 * (moment - asked[0][0]) + 1e-6
        admitted += limit


async def test_keys_left_behind_are_gone_through_again() -> None:
    here = scene(100, lanes=1)
    lost = list(here.leases.keys)[:5]
    seen = 0

    def hide(batch: Batch) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            for key in lost:
                here.leases.keys[key] = here.leases.row.target_version
        if batch.lane.after is not None and seen == 10:
            for key in lost:
                here.leases.keys[key] = 1

    here.leases.on_batch = hide
    assert await here.work() is Ended.COMPLETED
    assert here.leases.stale == 0
    assert here.leases.row.passes >= 1
