"""Leases, secrets and a queue in memory, that keep the promises of rewrap's ports."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.common.errors import InternalError, InvalidStateError, UnavailableError
from services.rewrap.model import (
    MAX_LANES,
    MAX_WAIT_SECONDS,
    MOVE,
    RUNNABLE,
    VERIFY,
    Admission,
    BatchDone,
    Claim,
    Claimed,
    Due,
    Hold,
    Lane,
    Lease,
    LeasePage,
    LeaseRef,
    LiveLeases,
    Progress,
    Report,
    Verdict,
    judge,
    split_lanes,
    verify_lanes,
)
from services.rewrap.store.lanes import WORN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.common.errors import CofferError
    from services.rewrap.model import Batch
    from tests.fakes.rewrap_clock import Clock


HOLD_SECONDS = 5.0


@dataclass
class LaneRow:
    cursor: UUID | None
    until: UUID
    kind: str = MOVE
    quota: int | None = None
    finished: bool = False
    fence: int = 0
    held_until: float | None = None
    troubles: int = 0


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
    verified: int = 0
    throttle: int | None = None
    throttle_free_at: float | None = None
    attempts: int = 0
    passes: int = 0
    next_attempt_at: float | None = None
    last_error: str | None = None
    lanes: dict[int, LaneRow] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)

    def go(self, state: str) -> None:
        self.state = state
        self.states.append(state)


class Leases:
    """The ports `LeaseStore`, `LeaseWatch`, `Batches` and `Reports` on the same memory.

    `keys` maps each data key to its version; `damaged` ones do not open, `poisoned` ones are a defect,
    `unreadable` ones cannot even be passed over; `obstacles` are raised by the next batches, one each.
    A batch takes `batch_seconds` of the clock.
    """

    def __init__(self, clock: Clock, keys: int = 0) -> None:
        self.ref = LeaseRef(uuid.uuid4(), 7)
        self.row = LeaseRow()
        self.keys: dict[UUID, int] = {uuid.uuid4(): 1 for _ in range(keys)}
        self.damaged: set[UUID] = set()
        self.poisoned: set[UUID] = set()
        self.unreadable: set[UUID] = set()
        self.obstacles: list[CofferError] = []
        self.batches: list[Batch] = []
        self.batch_seconds = 0.0
        self.on_batch: Callable[[Batch], None] = lambda _: None
        self.lose_the_answer_of: set[int] = set()
        self.moved_at: list[tuple[float, int]] = []
        self.signed: list[LeaseRef] = []
        self._clock = clock

    @property
    def stale(self) -> int:
        return sum(version != self.row.target_version for version in self.keys.values())

    async def claim(
        self,
        ref: LeaseRef,
        *,
        wanted: int,
        batch: int,
        lost: Sequence[Hold] = (),
        sample: int | None = 0,
    ) -> Claim | None:
        row, now = self.row, self._clock()
        at = row.next_attempt_at
        early = at is not None and now < at <= now + MAX_WAIT_SECONDS + 1
        if row.state not in RUNNABLE or early:
            return None
        if row.total is None:
            row.total = self.stale
            self._replace(split_lanes(self.stale, batch, MAX_LANES) if self.stale else [])
        if row.state != "running":
            row.go("running")
            row.next_attempt_at = row.throttle_free_at = None
            self._free_all()
        self._drop(lost)
        order = sorted(row.lanes.items(), key=lambda of: (of[1].troubles > WORN, of[0]))
        free = [n for n, lane in order if self._free(lane)][:wanted]
        row.fence += bool(free)
        for number in free:
            row.lanes[number].fence = row.fence
            row.lanes[number].held_until = now + HOLD_SECONDS
        claimed = [
            Claimed(
                Lane(n, lane.cursor, lane.until, lane.kind, lane.quota), lane.fence, lane.troubles
            )
            for n, lane in row.lanes.items()
            if n in free
        ]
        throttled = row.throttle is not None
        return Claim(ref, row.target_version, row.attempts, throttled, claimed, len(self._left()))

    async def report(self, ref: LeaseRef, holds: Sequence[Hold]) -> Report | None:
        row, now = self.row, self._clock()
        if row.state != "running":
            return None
        ours = frozenset(hold for hold in holds if self._ours(hold))
        for hold in ours:
            row.lanes[hold.lane].held_until = now + HOLD_SECONDS
        free = sum(self._free(lane) for lane in row.lanes.values())
        progress = Progress(row.done, row.skipped, row.failed, row.total, None)
        return Report(row.throttle is not None, ours, free, progress)

    async def settle(self, ref: LeaseRef, *, batch: int, sample: int | None) -> Verdict | None:
        row = self.row
        if row.state != "running":
            return None
        if self._left():
            return Verdict.AGAIN
        verified = any(lane.kind == VERIFY for lane in row.lanes.values())
        verdict = judge(stale=self.stale, failed=row.failed, passes=row.passes + (not verified))
        lanes: Sequence[Lane] = ()
        if not verified:
            row.passes += 1
            if verdict is Verdict.AGAIN:
                row.failed = 0
                lanes = split_lanes(self.stale, batch, MAX_LANES)
            else:
                row.skipped = max(0, (row.total or 0) - row.done - row.failed)
                lanes = verify_lanes(len(self.keys) - self.stale, sample, batch, lambda: 0.5)
        if lanes:
            self._replace(lanes)
            return Verdict.AGAIN
        given_up = any(lane.kind == VERIFY and lane.troubles for lane in row.lanes.values())
        row.go("failed" if verdict is Verdict.AGAIN or given_up else verdict.value)
        return Verdict(row.state)

    async def wait(
        self,
        ref: LeaseRef,
        holds: Sequence[Hold],
        *,
        attempts: int,
        delay_seconds: float,
        error: str,
        alone: bool,
    ) -> bool:
        if self.row.state != "running":
            return False
        dropped = self._drop(holds)
        if (holds and not dropped) or ((alone or not dropped) and self._others()):
            return False
        self._free_all()
        self.row.go("waiting")
        self.row.attempts = attempts
        self.row.next_attempt_at = self._clock() + delay_seconds
        self.row.last_error = error
        return True

    async def release(self, ref: LeaseRef, holds: Sequence[Hold]) -> bool:
        if self.row.state != "running":
            return False
        if (not self._drop(holds) and holds) or self._others():
            return False
        self.row.go("enqueued")
        return True

    async def trouble(self, ref: LeaseRef, hold: Hold) -> int | None:
        lane = self.row.lanes.get(hold.lane)
        if lane is None or not self._ours(hold) or lane.finished:
            return None
        lane.troubles += 1
        return lane.troubles

    async def give_up(self, ref: LeaseRef, hold: Hold) -> bool:
        lane = self.row.lanes.get(hold.lane)
        if lane is None or self.row.state != "running" or not self._ours(hold) or lane.finished:
            return False
        lane.finished = lane.troubles > 0
        return lane.finished

    async def admit(self, ref: LeaseRef, keys: int, unused: int) -> Admission | None:
        row, now = self.row, self._clock()
        rate = row.throttle
        if rate is None or row.state != "running":
            return None
        share = max(1, min(keys, rate // 4))
        at = row.throttle_free_at
        if at is None or not now - 3 <= at <= now + 2 * max(0.25, 1 / rate):
            starts = now
        else:
            earliest = now - 1
            starts = max(at - unused / rate, earliest)
        if starts > now:
            row.throttle_free_at = starts
            return Admission(0, starts - now)
        row.throttle_free_at = starts + share / rate
        return Admission(share, 0)

    async def live(self) -> LiveLeases:
        if self.row.state not in RUNNABLE:
            return LiveLeases([], None, {})
        left = (self.row.next_attempt_at or 0) - self._clock()
        due = left <= 0
        lanes = len(self._left()) if self.row.total is not None else None
        return LiveLeases(
            [Due(self.ref, lanes)] if due else [], None if due else left, {self.row.state: 1}
        )

    async def sign_report(self, ref: LeaseRef) -> None:
        self.signed.append(ref)

    async def rewrap(self, batch: Batch) -> BatchDone:
        return await self._batch(batch, self._move)

    async def verify(self, batch: Batch) -> BatchDone:
        return await self._batch(batch, self._open)

    async def _batch(self, batch: Batch, act: Callable[[Batch, LaneRow], BatchDone]) -> BatchDone:
        self.batches.append(batch)
        self.on_batch(batch)
        if self.batch_seconds:
            await self._clock.sleep(self.batch_seconds)
        else:
            await asyncio.sleep(0)
        if self.obstacles:
            raise self.obstacles.pop(0)
        lane = self.row.lanes.get(batch.lane.number)
        held = lane is not None and self._ours(Hold(batch.lane.number, batch.fence))
        if lane is None or not held or self.row.state != "running" or lane.finished:
            raise InvalidStateError("The lane is not held under this fence.")
        if lane.cursor != batch.lane.after:
            raise InvalidStateError("The lane has moved on.")
        done = act(batch, lane)
        lane.troubles = self.row.attempts = 0
        self.moved_at.append((self._clock(), done.keys))
        if len(self.batches) in self.lose_the_answer_of:
            raise UnavailableError("The answer was lost.")
        return done

    def _move(self, batch: Batch, lane: LaneRow) -> BatchDone:
        within = self._within(batch, stale=True)[: 1 if batch.pass_over else batch.limit]
        if self.unreadable.intersection(within):
            raise InternalError
        if not batch.pass_over and self.poisoned.intersection(within):
            raise InternalError
        failed = within if batch.pass_over else [key for key in within if key in self.damaged]
        for key in set(within).difference(failed):
            self.keys[key] = self.row.target_version
        lane.finished = len(within) < (1 if batch.pass_over else batch.limit)
        lane.cursor = batch.lane.until if lane.finished else within[-1]
        moved = len(within) - len(failed)
        self.row.done += moved
        self.row.failed += len(failed)
        return BatchDone(moved, 0, len(failed), lane.cursor, lane.finished)

    def _open(self, batch: Batch, lane: LaneRow) -> BatchDone:
        limit = 1 if batch.pass_over else batch.limit
        within = self._within(batch, stale=False)[:limit]
        if self.unreadable.intersection(within):
            raise InternalError
        if not batch.pass_over and self.poisoned.intersection(within):
            raise InternalError
        failed = within if batch.pass_over else [key for key in within if key in self.damaged]
        lane.finished = batch.last or len(within) < limit
        lane.cursor = batch.lane.until if lane.finished else within[-1]
        if lane.quota is not None:
            lane.quota = max(0, lane.quota - len(within))
        opened = len(within) - len(failed)
        self.row.verified += opened
        self.row.failed += len(failed)
        return BatchDone(0, 0, len(failed), lane.cursor, lane.finished, verified=opened)

    def _within(self, batch: Batch, *, stale: bool) -> list[UUID]:
        first = -1 if batch.lane.after is None else batch.lane.after.int
        return sorted(
            key
            for key, version in self.keys.items()
            if (version != self.row.target_version) is stale
            and first < key.int <= batch.lane.until.int
        )

    def _left(self) -> list[LaneRow]:
        return [lane for lane in self.row.lanes.values() if not lane.finished]

    def _ours(self, hold: Hold) -> bool:
        lane = self.row.lanes.get(hold.lane)
        now = self._clock()
        return lane is not None and lane.fence == hold.fence and (lane.held_until or 0) > now

    def _free(self, lane: LaneRow) -> bool:
        now = self._clock()
        until = lane.held_until
        return not lane.finished and not (until and now < until <= now + 2 * HOLD_SECONDS)

    def _others(self) -> bool:
        return any(not self._free(lane) for lane in self._left())

    def _drop(self, holds: Sequence[Hold]) -> int:
        dropped = 0
        for hold in holds:
            if self._ours(hold):
                self.row.lanes[hold.lane].held_until = None
                dropped += 1
        return dropped

    def _free_all(self) -> None:
        for lane in self._left():
            lane.held_until = None

    def _replace(self, lanes: Sequence[Lane]) -> None:
        self.row.lanes = {
            lane.number: LaneRow(lane.after, lane.until, lane.kind, lane.quota) for lane in lanes
        }


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
