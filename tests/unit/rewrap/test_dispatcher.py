"""The dispatcher: no live lease stays without a job, whatever was lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from services.common.errors import UnavailableError
from services.rewrap.dispatcher import Dispatcher
from services.rewrap.model import Seating
from tests.fakes.rewrap_around import Observer, Queue
from tests.fakes.rewrap_clock import Clock
from tests.fakes.rewrap_leases import Leases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def dispatcher(leases: Leases, queue: Queue, observer: Observer, **pauses: float) -> Dispatcher:
    return Dispatcher(
        leases,
        queue,
        observer,
        lanes=4,
        every_seconds=pauses.get("every", 5),
        recover_seconds=pauses.get("recover", 1000),
    )


@pytest.mark.parametrize("state", ["enqueued", "running", "waiting"])
async def test_every_live_lease_gets_one_job(state: str) -> None:
    leases, queue = Leases(Clock()), Queue()
    leases.row.state = state
    here = dispatcher(leases, queue, Observer())
    await here.dispatch()
    await here.dispatch()
    assert queue.jobs == [leases.ref]


@pytest.mark.parametrize(("keys", "seats"), [(1, 1), (40, 1), (50, 2), (160, 4), (100_000, 8)])
async def test_a_lease_gets_as_many_seats_as_its_lanes_need(keys: int, seats: int) -> None:
    leases, queue = Leases(Clock(), min(keys, 400)), Queue()
    await leases.claim(leases.ref, wanted=0, batch=10)
    await dispatcher(leases, queue, Observer()).dispatch()
    assert queue.wanted == [Seating(leases.ref, seats)]


@pytest.mark.parametrize("state", ["paused", "completed", "failed", "superseded", "cancelled"])
async def test_no_other_lease_gets_one(state: str) -> None:
    leases, queue = Leases(Clock()), Queue()
    leases.row.state = state
    await dispatcher(leases, queue, Observer()).dispatch()
    assert queue.jobs == []


async def test_a_waiting_lease_gets_its_job_when_it_is_due() -> None:
    clock = Clock()
    leases, queue = Leases(clock), Queue()
    leases.row.state = "waiting"
    leases.row.next_attempt_at = clock.now + 2
    here = dispatcher(leases, queue, Observer())
    assert await here.dispatch() == pytest.approx(2)
    assert queue.jobs == []
    clock.now += 2
    await here.dispatch()
    assert queue.jobs == [leases.ref]


async def test_an_announced_lease_need_not_wait_for_the_next_round() -> None:
    leases, queue = Leases(Clock()), Queue()
    leases.row.state = "completed"
    here = dispatcher(leases, queue, Observer(), every=3600)
    async with _running(here):
        await asyncio.sleep(0)
        leases.row.state = "enqueued"
        here.wake()
        await queue.wait_for_a_job()


async def test_an_unreachable_queue_does_not_end_the_dispatcher() -> None:
    leases, queue = Leases(Clock()), Queue()
    queue.broken = UnavailableError()
    here = dispatcher(leases, queue, Observer(), every=3600)
    async with _running(here):
        await asyncio.sleep(0)
        queue.broken = None
        here.wake()
        await queue.wait_for_a_job()


async def test_jobs_of_the_dead_are_taken_over_and_counted() -> None:
    queue, observer = Queue(), Observer()
    queue.dead = 2
    here = dispatcher(Leases(Clock()), queue, observer)
    await here.recover()
    assert observer.jobs_recovered == 2


async def test_a_defect_does_not_end_the_dispatcher() -> None:
    leases, queue = Leases(Clock()), Queue()
    queue.broken = RuntimeError("a defect")
    here = dispatcher(leases, queue, Observer(), every=3600)
    async with _running(here):
        await asyncio.sleep(0)
        queue.broken = None
        here.wake()
        await queue.wait_for_a_job()


@contextlib.asynccontextmanager
async def _running(here: Dispatcher) -> AsyncIterator[None]:
    task = asyncio.create_task(here.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
