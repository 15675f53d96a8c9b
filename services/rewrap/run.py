"""One worker's hold on one lease, from taking it to letting it go. Knows no technology.

All that is decided here can be decided twice: the fence, checked by whoever writes, makes everything an
older holder still does come to nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import structlog

from services.common.errors import CofferError
from services.rewrap.model import Batch, Lane, Verdict
from services.rewrap.pace import RateMeter, Throttle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from services.rewrap.model import BatchDone, Taken
    from services.rewrap.ports import Batches, JobQueue, LeaseStore, Observer

REPORT_SECONDS: Final = 0.5
"""How often a worker shows the rate and looks whether the throttle or the lease changed."""

_log = structlog.get_logger(__name__)


class Ended(Enum):
    """How a hold on a lease ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    WAITING = "waiting"
    """Something is in the way; it goes on by itself later."""
    YIELDED = "yielded"
    """Its time was up and others wait."""
    STOPPED = "stopped"
    """This process stops."""
    LOST = "lost"
    """It was superseded, cancelled, paused or taken by another worker."""
    REFUSED = "refused"
    """There was nothing to take."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How a worker goes about a lease.

    `lanes` at once; `batch` keys at most per call; after `slice_seconds` it makes way if others wait.
    """

    lanes: int = 4
    batch: int = 1000
    slice_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Around:
    """What a run works with. `clock` is in seconds and never goes back."""

    store: LeaseStore
    batches: Batches
    queue: JobQueue
    observer: Observer
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class Run:
    """Works through the lanes of a lease that was taken."""

    def __init__(self, taken: Taken, effort: Effort, around: Around) -> None:
        self._taken = taken
        self._effort = effort
        self._around = around
        self._throttle = Throttle(taken.throttle_per_second, clock=around.clock, sleep=around.sleep)
        self._meter = RateMeter(around.clock)
        self._began = around.clock()
        self._halted = asyncio.Event()
        self._end: Ended | None = None
        self.progressed = False
        """Whether any batch was done."""
        self.error: CofferError | None = None
        """What was in the way, after WAITING."""

    def halt(self, end: Ended) -> None:
        """Stop after the batches under way. The first reason given stays."""
        if self._end is None:
            self._end = end
        self._halted.set()

    async def work(self) -> Ended:
        """Work until the lease is settled or something ends the hold. Raises nothing of ours."""
        lanes = self._taken.lanes
        while True:
            await self._go_through(lanes)
            if self._end is not None:
                return self._end
            try:
                settled = await self._around.store.settle(
                    self._taken.ref,
                    self._taken.fence,
                    lanes=self._effort.lanes,
                    batch=self._effort.batch,
                )
            except CofferError as error:
                self._fail(error)
                return Ended.WAITING
            if settled is None:
                return Ended.LOST
            if settled.verdict is not Verdict.AGAIN:
                return Ended(settled.verdict.value)
            lanes = settled.lanes

    async def _go_through(self, lanes: Sequence[Lane]) -> None:
        """All lanes at once, watched; returns when each has ended or was halted."""
        watch = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(self._go_along(lane))
        finally:
            watch.cancel()
            await asyncio.wait([watch])
        if not watch.cancelled():
            watch.result()

    async def _go_along(self, lane: Lane) -> None:
        """One lane, batch after batch, from its cursor."""
        after = lane.after
        while not self._halted.is_set():
            limit = self._throttle.share(self._effort.batch)
            await self._throttle.admit(limit)
            if self._halted.is_set():
                return
            here = Lane(lane.number, after, lane.until)
            try:
                done = await self._one_batch(here, limit)
            except CofferError as error:
                # Whether it was done is uncertain: the next holder reads the cursor that is saved.
                self._fail(error)
                return
            if done.lane_finished:
                return
            after = done.cursor

    async def _one_batch(self, lane: Lane, limit: int) -> BatchDone:
        taken, around = self._taken, self._around
        began = around.clock()
        done = await around.batches.rewrap(
            Batch(taken.ref, taken.fence, taken.target_version, lane, limit)
        )
        around.observer.batch_done(done, around.clock() - began)
        self.progressed = True
        self._meter.add(done.done)
        self._throttle.give_back(limit - done.keys)
        return done

    async def _watch(self) -> None:
        """Show the rate; follow the throttle; notice that the lease is gone, or that others wait."""
        try:
            while True:
                await self._around.sleep(REPORT_SECONDS)
                pace = await self._around.store.report(
                    self._taken.ref, self._taken.fence, self._meter.rate()
                )
                if pace is None:
                    self.halt(Ended.LOST)
                    return
                self._throttle.set(pace.throttle_per_second)
                await self._make_way()
        except CofferError as error:
            self._fail(error)

    async def _make_way(self) -> None:
        if self._around.clock() - self._began < self._effort.slice_seconds:
            return
        self._began = self._around.clock()
        if await self._around.queue.crowded():
            self.halt(Ended.YIELDED)

    def _fail(self, error: CofferError) -> None:
        if self.error is None:
            self.error = error
        _log.warning("rewrap_interrupted", lease=self._taken.ref.lease_id, code=error.code)
        self.halt(Ended.WAITING)
