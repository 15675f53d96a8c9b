"""One lane, batch after batch, from its cursor to its end. Knows no technology.

A batch that fails by a defect is halved until it is one data key; that key, failing again, is passed over.
A lane whose next key cannot even be passed over is given up at last: its keys stay as they are, and the lease
fails. What is out of reach or too slow is never a reason for either; what is too slow is halved, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

import structlog

from services.common.errors import CofferError, DeadlineError, InternalError, InvalidStateError
from services.rewrap.model import MAX_VERIFY_LIMIT, VERIFY, Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.rewrap.model import BatchDone, Claim, Claimed, Hold, LeaseRef
    from services.rewrap.pace import Throttle
    from services.rewrap.ports import Batches, LeaseStore, Manners, Observer
    from services.rewrap.turns import Turns

_SURE: Final = 2
"""So often a single data key must fail before it is passed over."""
_MAX_PASSED_OVER: Final = 3
"""In a row, without anything done: then it is not the keys."""
_HOPELESS: Final = 40
"""So often a lane must fail at one cursor before it is given up: some minutes, as it pauses in between."""
_CALM: Final = 32
"""After so many batches that were not too slow larger ones are tried again."""

_log = structlog.get_logger(__name__)


class WearyError(Exception):
    """One data key after another fails by a defect: the lease had better wait."""


@dataclass(frozen=True, slots=True)
class Means:
    """What lanes work with. `clock` is in seconds and never goes back."""

    store: LeaseStore
    batches: Batches
    observer: Observer
    manners: Manners
    turns: Turns[LeaseRef]
    clock: Callable[[], float]


@dataclass(slots=True)
class Luck:
    """What the lanes of one run have seen: batches done, and keys passed over since the last one.

    `most`: data keys that a batch is to have at most, since a larger one was too slow; None: any.
    """

    batches: int = 0
    passed_over: int = 0
    most: int | None = None
    _calm_at: int = 0

    def too_slow(self, limit: int) -> None:
        """A batch of so many data keys did not end in time."""
        self.most = min(self.most or limit, max(1, limit // 2))
        self._calm_at = self.batches + _CALM

    def done(self) -> None:
        """A batch was done."""
        self.batches += 1
        self.passed_over = 0
        if self.most is not None and self.batches >= self._calm_at:
            self.most *= 2
            self._calm_at = self.batches + _CALM


@dataclass(frozen=True, slots=True)
class Task:
    """What the lanes of one run share. `batch`: data keys at most per call."""

    claim: Claim
    batch: int
    means: Means
    throttle: Throttle
    luck: Luck


class LaneEnd(Enum):
    """How the work on a lane ended."""

    FINISHED = "finished"
    HALTED = "halted"
    LOST = "lost"


class LaneWork:
    """Works on a lane that was claimed."""

    def __init__(self, claimed: Claimed, task: Task) -> None:
        self._task = task
        self._hold = claimed.hold
        self._lane = claimed.lane
        verifies = claimed.lane.kind == VERIFY
        self._most = min(task.batch, MAX_VERIFY_LIMIT) if verifies else task.batch
        self._limit = max(1, self._most >> claimed.troubles)
        self._pass_over = False
        self._failed_alone = 0
        self.lost = False
        """Whether somebody else has it: nothing more is begun."""
        self.ailing = False
        """Whether it failed and nothing was done since; said by who runs it."""

    @property
    def hold(self) -> Hold:
        """What holds it."""
        return self._hold

    async def go(self, halted: Callable[[], bool]) -> LaneEnd:
        """To the end of the lane, or until `halted`. Raises CofferError, WearyError.

        After CofferError it is uncertain whether the last batch was done; the cursor saved says so.
        """

        def stopped() -> bool:
            return self.lost or halted()

        while not stopped():
            limit = min(self._limit, self._task.luck.most or self._limit)
            limit = self._task.means.manners.share(limit)
            limit = await self._task.throttle.admit(limit, stopped)
            if stopped():
                break
            done = None
            try:
                done = await self._batch(limit, stopped)
            except CofferError as error:
                end = await self._trouble(limit, error)
                if end is not None:
                    return end
            finally:
                self._task.throttle.give_back(limit - (done.keys if done else 0))
            if done is not None and done.lane_finished:
                return LaneEnd.FINISHED
        return LaneEnd.LOST if self.lost else LaneEnd.HALTED

    async def _batch(self, limit: int, stopped: Callable[[], bool]) -> BatchDone:
        means, lane, claim = self._task.means, self._lane, self._task.claim
        order = Batch(
            claim.ref, self._hold.fence, claim.target_version, lane, limit, self._pass_over
        )
        async with means.turns.take(claim.ref):
            began = means.clock()
            if lane.kind == VERIFY:
                done = await means.batches.verify(_within_quota(order))
            else:
                done = await means.batches.rewrap(order)
            worked = means.clock() - began
        means.observer.batch_done(done, worked)
        self._go_on(done, limit)
        await means.manners.give_way(worked, done.slowdown, stopped)
        return done

    def _go_on(self, done: BatchDone, limit: int) -> None:
        quota = self._lane.quota
        left = None if quota is None else max(0, quota - done.keys)
        self._lane = replace(self._lane, after=done.cursor, quota=left)
        self._failed_alone = 0
        self.ailing = False
        if self._pass_over:
            self._pass_over = False
            self._task.luck.passed_over += 1
            if self._task.luck.passed_over >= _MAX_PASSED_OVER:
                raise WearyError
            return
        self._task.luck.done()
        if limit >= self._limit:
            self._limit = min(self._most, 2 * self._limit)

    async def _trouble(self, limit: int, error: CofferError) -> LaneEnd | None:
        """Try less, at once after a defect; at last pass the key over, or give the lane up. Raises `error`
        when that had better be later; returns how the lane ended, if it did."""
        if error.code == InvalidStateError.code:
            return LaneEnd.LOST
        too_slow = error.code == DeadlineError.code and limit > 1
        if error.code != InternalError.code and not too_slow:
            raise error
        troubles = await self._count(limit)
        if troubles is None:
            return LaneEnd.LOST
        if limit > 1:
            self._limit = max(1, limit // 2)
            if too_slow:
                self._task.luck.too_slow(limit)
                raise error
        elif self._pass_over:
            if troubles >= _HOPELESS:
                return await self._give_up()
            # Tried anew later: a defect that has passed by then fails no key.
            self._pass_over = False
            self._failed_alone = 0
            raise error
        else:
            self._failed_alone += 1
            self._pass_over = self._failed_alone >= _SURE
        return None

    async def _count(self, limit: int) -> int | None:
        """Note a failure for whoever takes the lane over; how many there were. None: it is not ours."""
        ref, hold = self._task.claim.ref, self._hold
        troubles = await self._task.means.store.trouble(ref, hold)
        if troubles is not None:
            _log.warning(
                "batch_failed", lease=ref.lease_id, lane=hold.lane, keys=limit, troubles=troubles
            )
        return troubles

    async def _give_up(self) -> LaneEnd:
        ref, hold = self._task.claim.ref, self._hold
        if not await self._task.means.store.give_up(ref, hold):
            return LaneEnd.LOST
        _log.error("lane_given_up", lease=ref.lease_id, lane=hold.lane)
        return LaneEnd.FINISHED


def _within_quota(order: Batch) -> Batch:
    quota = order.lane.quota
    if quota is None or order.limit < quota:
        return order
    return replace(order, limit=max(1, quota), last=True)
