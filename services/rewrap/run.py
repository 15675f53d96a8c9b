"""One process's work on one lease, from its first lanes to letting it go. Knows no technology.

All that is decided here can be decided twice: the fence of each lane, checked by whoever writes, makes
everything an older holder still does come to nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import structlog

from services.common.errors import CofferError, InternalError, TenantSealedError
from services.rewrap.lane import LaneEnd, LaneWork, Luck, Means, Task, WearyError
from services.rewrap.model import Verdict, retry_delay
from services.rewrap.pace import Throttle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from services.rewrap.model import Claim, Claimed, Hold, LeaseRef, Report
    from services.rewrap.ports import JobQueue, LeaseStore, Observer

REPORT_SECONDS: Final = 0.5
"""How often a worker says that it lives, and looks whether the lease or its throttle changed."""

_log = structlog.get_logger(__name__)


class Ended(Enum):
    """How the work on a lease ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    WAITING = "waiting"
    """Something is in the way; it goes on by itself later."""
    YIELDED = "yielded"
    """Its time was up and others wait."""
    STOPPED = "stopped"
    """This process stops."""
    LOST = "lost"
    """It was superseded, cancelled or paused, or has ended."""
    SPARED = "spared"
    """Other workers do what is left."""
    REFUSED = "refused"
    """There was nothing to take."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How a worker goes about a lease.

    `lanes` at once; `batch` keys at most per call; after `slice_seconds` it makes way if others wait.
    `sample`: how many keys are verified in the end (None: all). `patience_seconds`: so long it waits for a
    lane of others to come free.
    """

    lanes: int = 4
    batch: int = 1000
    slice_seconds: float = 30.0
    sample: int | None = 10_000
    patience_seconds: float = 6.0


@dataclass(frozen=True, slots=True)
class Around:
    """What a run works with."""

    means: Means
    queue: JobQueue
    sleep: Callable[[float], Awaitable[None]]

    @property
    def store(self) -> LeaseStore:
        """The leases."""
        return self.means.store

    @property
    def observer(self) -> Observer:
        """Who is told."""
        return self.means.observer


class Run:
    """Works on the lanes that were claimed, and on more, until none is left."""

    def __init__(self, claim: Claim, effort: Effort, around: Around) -> None:
        self._claim = claim
        self._effort = effort
        self._around = around
        self._ref: LeaseRef = claim.ref
        self._throttle = Throttle(claim.ref, around.store, around.sleep, throttled=claim.throttled)
        self._luck = Luck()
        self._task = Task(claim, effort.batch, around.means, self._throttle, self._luck)
        self._works: dict[Hold, LaneWork] = {}
        self._given_up: list[Hold] = []
        self._unfinished = claim.unfinished
        self._batches_at_loss = 0
        self._batches_at_ailment = 0
        self._ailment: CofferError = InternalError()
        self._began = self._busy_at = around.means.clock()
        self._changed = asyncio.Event()
        self._end: Ended | None = None
        self.error: CofferError | None = None
        """What was in the way, after WAITING."""
        self.weary = False
        """Whether it was that nothing works, after WAITING."""

    @property
    def progressed(self) -> bool:
        """Whether any batch was done."""
        return self._luck.batches > 0

    @property
    def holds(self) -> Sequence[Hold]:
        """The lanes that are held, for all that is known here."""
        return [*self._works, *self._given_up]

    def halt(self, end: Ended) -> None:
        """Stop after the batches under way. The first reason given stays."""
        if self._end is None:
            self._end = end
        self._changed.set()

    async def work(self) -> Ended:
        """Work until the lease is settled or something ends the work. Raises nothing of ours."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch())
            try:
                await self._go_on(group)
            finally:
                watch.cancel()
        assert self._end is not None
        return self._end

    async def _go_on(self, group: asyncio.TaskGroup) -> None:
        self._begin(group, self._claim.lanes)
        while self._end is None:
            try:
                if self._works:
                    await self._changed.wait()
                    self._changed.clear()
                elif self._unfinished:
                    await self._be_patient()
                else:
                    await self._settle()
                if self._end is None:
                    await self._claim_more(group)
                if self._works and not self._healthy:
                    self._fail(self._ailment)
            except CofferError as error:
                self._fail(error)
        while self._works:
            self._changed.clear()
            await self._changed.wait()

    def _begin(self, group: asyncio.TaskGroup, lanes: Sequence[Claimed]) -> None:
        for claimed in lanes:
            work = LaneWork(claimed, self._task)
            self._works[work.hold] = work
            group.create_task(self._go_along(work))
        if self._works:
            self._busy_at = self._around.means.clock()

    async def _go_along(self, work: LaneWork) -> None:
        try:
            end = await self._persevere(work)
        except WearyError:
            end = LaneEnd.HALTED
            self.weary = True
            self._fail(InternalError())
        if end is not LaneEnd.FINISHED:
            self._given_up.append(work.hold)
        del self._works[work.hold]
        self._changed.set()

    async def _persevere(self, work: LaneWork) -> LaneEnd:
        """As `LaneWork.go`; what is in its way makes this lane pause, and no other."""
        pauses = 0
        while True:
            try:
                return await work.go(self._halted)
            except CofferError as error:
                pauses = pauses + 1 if work.ailing else 1
                work.ailing = True
                self._meet(error)
            clock = self._around.means.clock
            over = clock() + retry_delay(pauses, 0.5)
            while clock() < over and not work.lost and not self._halted():
                await self._around.sleep(min(REPORT_SECONDS, over - clock()))

    def _meet(self, error: CofferError) -> None:
        self._ailment = error
        if error.code == TenantSealedError.code:
            self._fail(error)  # it holds for every lane
        _log.warning("lane_interrupted", lease=self._ref.lease_id, code=error.code)
        self._changed.set()

    @property
    def _healthy(self) -> int:
        """How many lanes at work do not pause."""
        return sum(not work.ailing for work in self._works.values())

    def _halted(self) -> bool:
        return self._end is not None

    async def _be_patient(self) -> None:
        """Others hold what is left: it comes free when they die, and soon ends when they live."""
        if self._around.means.clock() - self._busy_at > self._effort.patience_seconds:
            self.halt(Ended.SPARED)
        else:
            await self._around.sleep(REPORT_SECONDS)

    async def _settle(self) -> None:
        verdict = await self._around.store.settle(
            self._ref, batch=self._effort.batch, sample=self._effort.sample
        )
        if verdict is None:
            self.halt(Ended.LOST)
        elif verdict is Verdict.LATER:
            await self._around.sleep(REPORT_SECONDS)
        elif verdict is not Verdict.AGAIN:
            self.halt(Ended(verdict.value))

    async def _claim_more(self, group: asyncio.TaskGroup) -> None:
        wanted = self._effort.lanes - len(self._works)
        if self._luck.batches > self._batches_at_ailment:
            wanted = self._effort.lanes - self._healthy  # those that pause make room
        if wanted <= 0:
            return
        self._batches_at_ailment = self._luck.batches
        given_up = list(self._given_up)
        if given_up:
            if self._luck.batches == self._batches_at_loss:
                await self._around.sleep(
                    REPORT_SECONDS
                )  # what took these may take the next ones too
            self._batches_at_loss = self._luck.batches
        claim = await self._around.store.claim(
            self._ref, wanted=wanted, batch=self._effort.batch, lost=given_up
        )
        self._given_up = [hold for hold in self._given_up if hold not in given_up]
        if claim is None:
            self.halt(Ended.LOST)
            return
        self._unfinished = claim.unfinished
        if not self._halted():
            self._begin(group, claim.lanes)
        else:
            self._given_up += [claimed.hold for claimed in claim.lanes]

    async def _watch(self) -> None:
        """Hold on to the lanes; follow the throttle; notice what was lost, and who waits."""
        while True:
            await self._around.sleep(REPORT_SECONDS)
            works = dict(self._works)
            try:
                report = await self._around.store.report(self._ref, list(works))
                if report is None:
                    self.halt(Ended.LOST)
                    return
                self._look(report, works)
                await self._make_way()
            except CofferError as error:
                # Whether it matters, the batches will show.
                _log.info("lease_not_reported", lease=self._ref.lease_id, code=error.code)

    def _look(self, report: Report, works: dict[Hold, LaneWork]) -> None:
        self._throttle.set(throttled=report.throttled)
        for hold, work in works.items():
            work.lost = hold not in report.ours
        self._around.observer.lease_seen(self._ref, report)
        if report.free and self._works and self._healthy < self._effort.lanes:
            self._changed.set()

    async def _make_way(self) -> None:
        clock = self._around.means.clock
        if clock() - self._began < self._effort.slice_seconds:
            return
        self._began = clock()
        if await self._around.queue.crowded():
            self.halt(Ended.YIELDED)

    def _fail(self, error: CofferError) -> None:
        if self.error is None:
            self.error = error
        _log.warning("rewrap_interrupted", lease=self._ref.lease_id, code=error.code)
        self.halt(Ended.WAITING)
