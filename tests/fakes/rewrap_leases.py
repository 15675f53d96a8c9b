"""Leases, secrets and a queue in memory, that keep the promises of rewrap's ports."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.common.errors import CofferError, InvalidStateError
from services.rewrap.model import (
    RUNNABLE,
    BatchDone,
    Lane,
    Lease,
    LeasePage,
    LeaseRef,
    LiveLeases,
    Pace,
    Settled,
    Taken,
    Verdict,
    judge,
    split_lanes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.rewrap.model import Batch


class Clock:
    """Time that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class LaneRow:
    cursor: UUID | None
    until: UUID
    finished: bool = False


@dataclass
class LeaseRow:
    """What the database would hold of one lease."""

    target_version: int = 2
    state: str = "enqueued"
    fence: int = 0
    total: int | None = None
    done: int = 0
    skipped: int = 0
    failed: int = 0
    throttle: int | None = None
    attempts: int = 0
    passes: int = 0
    next_attempt_at: float | None = None
    last_error: str | None = None
    rate: float | None = None
    lanes: dict[int, LaneRow] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)

    def go(self, state: str) -> None:
        self.state = state
        self.states.append(state)


class Leases:
    """The ports `LeaseStore`, `LeaseWatch` and `Batches` on the same memory.

    `keys` maps each data key to its version; `damaged` ones do not open; `obstacles` are raised by the
    next batches, one each.
    """

    def __init__(self, clock: Clock, keys: int = 0) -> None:
        self.ref = LeaseRef(uuid.uuid4(), 7)
        self.row = LeaseRow()
        self.keys: dict[UUID, int] = {uuid.uuid4(): 1 for _ in range(keys)}
        self.damaged: set[UUID] = set()
        self.obstacles: list[CofferError] = []
        self.batches: list[Batch] = []
        self.on_batch: Callable[[Batch], None] = lambda _: None
        self.lose_the_answer_of: set[int] = set()
        self._clock = clock

    @property
    def stale(self) -> int:
        return sum(version != self.row.target_version for version in self.keys.values())

    async def take(self, ref: LeaseRef, *, lanes: int, batch: int) -> Taken | None:
        row = self.row
        early = row.next_attempt_at is not None and row.next_attempt_at > self._clock()
        if row.state not in RUNNABLE or early:
            return None
        row.fence += 1
        row.go("running")
        row.next_attempt_at = None
        if row.total is None:
            row.total = self.stale
            self._divide(lanes, batch)
        left = [
            Lane(number, lane.cursor, lane.until)
            for number, lane in row.lanes.items()
            if not lane.finished
        ]
        return Taken(ref, row.fence, row.target_version, row.throttle, row.attempts, left)

    async def report(self, ref: LeaseRef, fence: int, rate_per_second: float | None) -> Pace | None:
        if not self._held(fence):
            return None
        self.row.rate = rate_per_second
        return Pace(self.row.throttle)

    async def settle(self, ref: LeaseRef, fence: int, *, lanes: int, batch: int) -> Settled | None:
        if not self._held(fence):
            return None
        row = self.row
        verdict = judge(stale=self.stale, failed=row.failed, passes=row.passes + 1)
        if verdict is Verdict.AGAIN:
            row.passes += 1
            row.failed = 0
            return Settled(verdict, self._divide(lanes, batch))
        row.go(verdict.value)
        return Settled(verdict)

    async def wait(
        self, ref: LeaseRef, fence: int, *, attempts: int, delay_seconds: float, error: str
    ) -> bool:
        if not self._held(fence):
            return False
        self.row.go("waiting")
        self.row.attempts = attempts
        self.row.next_attempt_at = self._clock() + delay_seconds
        self.row.last_error = error
        return True

    async def release(self, ref: LeaseRef, fence: int) -> bool:
        if not self._held(fence):
            return False
        self.row.go("enqueued")
        return True

    async def live(self) -> LiveLeases:
        if self.row.state not in RUNNABLE:
            return LiveLeases([], None, {})
        left = (self.row.next_attempt_at or 0) - self._clock()
        due = left <= 0
        return LiveLeases([self.ref] if due else [], None if due else left, {self.row.state: 1})

    async def rewrap(self, batch: Batch) -> BatchDone:
        self.batches.append(batch)
        self.on_batch(batch)
        await asyncio.sleep(0)
        if self.obstacles:
            raise self.obstacles.pop(0)
        lane = self.row.lanes[batch.lane.number]
        if not self._held(batch.fence) or lane.cursor != batch.lane.after or lane.finished:
            raise InvalidStateError("The lease is not running under this fence.")
        done = self._move(batch, lane)
        if len(self.batches) in self.lose_the_answer_of:
            raise CofferError("The answer was lost.")
        return done

    def _move(self, batch: Batch, lane: LaneRow) -> BatchDone:
        first = -1 if batch.lane.after is None else batch.lane.after.int
        within = sorted(
            key
            for key, version in self.keys.items()
            if version != self.row.target_version and first < key.int <= batch.lane.until.int
        )[: batch.limit]
        failed = [key for key in within if key in self.damaged]
        for key in within:
            if key not in self.damaged:
                self.keys[key] = self.row.target_version
        lane.finished = len(within) < batch.limit
        lane.cursor = batch.lane.until if lane.finished else within[-1]
        moved = len(within) - len(failed)
        self.row.done += moved
        self.row.failed += len(failed)
        self.row.attempts = 0
        return BatchDone(moved, 0, len(failed), lane.cursor, lane.finished)

    def _held(self, fence: int) -> bool:
        return self.row.fence == fence and self.row.state == "running"

    def _divide(self, lanes: int, batch: int) -> list[Lane]:
        made = split_lanes(self.stale, batch, lanes) if self.stale else []
        self.row.lanes = {lane.number: LaneRow(lane.after, lane.until) for lane in made}
        return made


class Queue:
    """The port `JobQueue`: what is in it, and whether it is crowded, a test says."""

    def __init__(self) -> None:
        self.jobs: list[LeaseRef] = []
        self.is_crowded = False
        self.dead = 0
        self.broken: Exception | None = None
        self._filled = asyncio.Event()

    async def enqueue(self, refs: Sequence[LeaseRef]) -> int:
        if self.broken:
            raise self.broken
        new = [ref for ref in refs if ref not in self.jobs]
        self.jobs += new
        if new:
            self._filled.set()
        return len(new)

    async def wait_for_a_job(self) -> None:
        async with asyncio.timeout(5):
            await self._filled.wait()

    async def requeue(self, ref: LeaseRef) -> None:
        self.jobs.append(ref)

    async def recover(self) -> int:
        taken, self.dead = self.dead, 0
        return taken

    async def crowded(self) -> bool:
        return self.is_crowded


class Observer:
    """The port `Observer`, remembering."""

    def __init__(self) -> None:
        self.keys = 0
        self.ends: list[str] = []
        self.held = 0
        self.states: dict[str, int] = {}
        self.jobs_recovered = 0

    def batch_done(self, done: BatchDone, seconds: float) -> None:
        self.keys += done.keys

    def run_began(self) -> None:
        self.held += 1

    def run_ended(self, outcome: str) -> None:
        self.held -= 1
        self.ends.append(outcome)

    def live_leases(self, by_state: dict[str, int]) -> None:
        self.states = by_state

    def recovered(self, jobs: int) -> None:
        self.jobs_recovered += jobs


def lease(**changes: object) -> Lease:
    """A lease as a reader finds it."""
    plain = Lease(
        id=1,
        state="running",
        reason="rotate",
        target_version=2,
        total=100,
        done=40,
        skipped=0,
        failed=0,
        rate_per_second=20.0,
        throttle_per_second=None,
        created_at=datetime(2026, 3, 15, 12, tzinfo=UTC),
        started_at=datetime(2026, 3, 15, 12, 0, 1, tzinfo=UTC),
        finished_at=None,
        last_error=None,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


class Reader:
    """The port `LeaseReader`."""

    def __init__(self, tenant_id: UUID, leases: Sequence[Lease] = ()) -> None:
        self._tenant_id = tenant_id
        self._leases = list(leases)

    async def page(
        self, tenant_id: UUID, state: str | None, *, offset: int, limit: int
    ) -> LeasePage:
        mine = self._leases if tenant_id == self._tenant_id else []
        found = sorted((row for row in mine if state in {None, row.state}), key=lambda row: -row.id)
        return LeasePage(found[offset : offset + limit], len(found))

    async def get(self, ref: LeaseRef) -> Lease | None:
        mine = self._leases if ref.tenant_id == self._tenant_id else []
        return next((row for row in mine if row.id == ref.lease_id), None)
