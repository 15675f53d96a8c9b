"""The values of rewrap: leases, lanes, batches, and the decisions made about them. Pure.

A lease is the promise that everything a tenant stores moves to one version of its master key. A lane is
a range of data-key ids of one lease, worked through from its cursor to its end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

STATES: Final = (
    "enqueued",
    "running",
    "paused",
    "waiting",
    "completed",
    "failed",
    "superseded",
    "cancelled",
)
"""Every state of the wire contract; the last four are final."""
RUNNABLE: Final = ("enqueued", "running", "waiting")
"""States in which a worker may take a lease."""

MOVE: Final = "move"
VERIFY: Final = "verify"
"""Kinds of lanes."""
MAX_LANES: Final = 32
"""Of a lease: enough for eight workers of four each, and still long enough to be worth it."""
MAX_SEATS: Final = 16
"""Workers of a lease."""
MAX_VERIFY_LIMIT: Final = 1000
"""Data keys that one batch of a verification may open."""
MAX_PASSES: Final = 3
"""How often a lease's lanes are gone through before what is still left counts as a failure."""
VERIFY_COST: Final = 4
"""A data key that is verified takes about as long as so many that are moved; measured with small values."""
_UUID_SPACE: Final = 1 << 128
_FIRST_DELAY_SECONDS: Final = 1.0
_LONGEST_DELAY_SECONDS: Final = 30.0
_JITTER: Final = 0.25
MAX_WAIT_SECONDS: Final = _LONGEST_DELAY_SECONDS * (1 + _JITTER)
"""What a lease ever waits; one that seems to wait longer lives in a database whose clock went back."""


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """Which lease."""

    tenant_id: UUID
    lease_id: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as a person sees it.

    `rate_per_second`: of data keys that are moved, or verified while it verifies; None while unknown.
    `to_verify`: how many are verified in all; an estimate until that begins.
    """

    id: int
    state: str
    reason: str
    target_version: int
    total: int | None
    done: int
    skipped: int
    failed: int
    rate_per_second: float | None
    throttle_per_second: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    last_error: str | None
    verified: int = 0
    to_verify: int = 0
    verifying: bool = False

    @property
    def moved_per_second(self) -> float | None:
        """None while unknown, and while nothing is moved any more."""
        return None if self.verifying else self.rate_per_second

    @property
    def eta_seconds(self) -> int | None:
        """Seconds until it ends, verification included; None while the rate is unknown or zero."""
        if self.state != "running":
            return None
        left = seconds_left(self, throttled=self.throttle_per_second is not None)
        return None if left is None else math.ceil(left)


@dataclass(frozen=True, slots=True)
class LeasePage:
    """A page of leases, newest first, and how many there are in all."""

    leases: Sequence[Lease]
    total: int


@dataclass(frozen=True, slots=True)
class Lane:
    """Ids after `after` (None: from the first) up to `until`, included.

    `kind`: whether its data keys are to be moved or verified. `quota`: how many of them are to be verified
    yet; None: all.
    """

    number: int
    after: UUID | None
    until: UUID
    kind: str = MOVE
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A lane that is held under a fence, until somebody claims it under a higher one."""

    lane: int
    fence: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A lane that was claimed. `troubles` counts the batches that failed at its cursor by a defect."""

    lane: Lane
    fence: int
    troubles: int = 0

    @property
    def hold(self) -> Hold:
        """How the store knows it."""
        return Hold(self.lane.number, self.fence)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker got of a lease that runs: the lanes that were free, and how many are unfinished in all.

    `attempts` counts the attempts before this one that ended in waiting without any progress. `throttled`:
    whether a batch needs the store's admission.
    """

    ref: LeaseRef
    target_version: int
    attempts: int
    throttled: bool
    lanes: Sequence[Claimed]
    unfinished: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a lease is, over all its workers; as `Lease`."""

    done: int
    skipped: int
    failed: int
    total: int | None
    rate_per_second: float | None
    verified: int = 0
    to_verify: int = 0
    verifying: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A running lease, as who works on it is told: `ours` of the holds reported, `free` lanes to claim."""

    throttled: bool
    ours: frozenset[Hold]
    free: int
    progress: Progress

    @property
    def seconds_left(self) -> float | None:
        """As `Lease.eta_seconds`, not rounded."""
        return seconds_left(self.progress, throttled=self.throttled)


@dataclass(frozen=True, slots=True)
class Admission:
    """So many data keys may be moved after `delay_seconds`; none: ask again then."""

    keys: int
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch to be done: at most `limit` data keys of a lane.

    `pass_over`: the first is not tried, but recorded as failed. `last`: the lane ends with this batch.
    """

    ref: LeaseRef
    fence: int
    target_version: int
    lane: Lane
    limit: int
    pass_over: bool = False
    last: bool = False


@dataclass(frozen=True, slots=True)
class BatchDone:
    """What a batch did; its counts and cursor are saved already. `done`: moved.

    `slowdown`: how slow the foreground calls of who did it are, 1 being normal; 0: not known.
    """

    done: int
    skipped: int
    failed: int
    cursor: UUID | None
    lane_finished: bool
    slowdown: float = 0.0
    verified: int = 0

    @property
    def keys(self) -> int:
        """How many data keys it dealt with."""
        return self.done + self.skipped + self.failed + self.verified


class Verdict(Enum):
    """What becomes of a lease whose lanes are through."""

    COMPLETED = "completed"
    FAILED = "failed"
    AGAIN = "again"
    """There are lanes to claim."""
    LATER = "later"
    """Somebody else is deciding it."""


@dataclass(frozen=True, slots=True)
class Due:
    """A lease that may be worked on, and how many lanes it has left; None: not divided yet."""

    ref: LeaseRef
    lanes_left: int | None = None


@dataclass(frozen=True, slots=True)
class Seating:
    """How many workers a lease has use for."""

    ref: LeaseRef
    seats: int


@dataclass(frozen=True, slots=True)
class LiveLeases:
    """What the dispatcher sees across tenants.

    `due` may be worked on now; the next waiting one becomes due in `next_due_seconds` (None: none
    waits). `by_state` counts all that are alive.
    """

    due: Sequence[Due]
    next_due_seconds: float | None
    by_state: dict[str, int]


def seconds_left(at: Lease | Progress, *, throttled: bool) -> float | None:
    """Until the lease ends, at its rate; None while that is unknown or zero.

    How long verification takes is estimated until it is measured; under a throttle moving and verifying are
    equally slow. What comes after the last key (a count, an event) is not in it.
    """
    if at.total is None or not at.rate_per_second:
        return None
    to_verify = max(0, at.to_verify - at.verified)
    if at.verifying:
        return to_verify / at.rate_per_second
    to_move = max(0, at.total - at.done - at.skipped - at.failed)
    return (to_move + to_verify * (1 if throttled else VERIFY_COST)) / at.rate_per_second


def seats(lanes_left: int | None, lanes_at_once: int) -> int:
    """How many workers of `lanes_at_once` lanes each a lease has use for."""
    return max(1, min(MAX_SEATS, math.ceil((lanes_left or 0) / lanes_at_once)))


def split_lanes(total: int, batch: int, most: int) -> list[Lane]:
    """Divide the id space evenly, into no more lanes than there are batches (at least 1)."""
    count = max(1, min(most, math.ceil(total / batch)))
    ends = [UUID(int=_UUID_SPACE * (number + 1) // count - 1) for number in range(count)]
    return [Lane(n, ends[n - 1] if n else None, end) for n, end in enumerate(ends)]


def verify_lanes(
    keys: int, sample: int | None, batch: int, chance: Callable[[], float]
) -> list[Lane]:
    """Lanes that verify `sample` of so many data keys (None: all); none when there is nothing to verify.

    The ids are random, so a run of neighbours is a random sample: each lane takes its part from a random
    point of its range on, far enough from the end of it. When that leaves no room, all keys are verified,
    which are hardly more then.
    """
    if keys == 0 or sample == 0:
        return []
    batch = min(batch, MAX_VERIFY_LIMIT)
    lanes = split_lanes(min(keys, sample or keys), batch, MAX_LANES)
    if sample is not None and sample < keys:
        quota = math.ceil(sample / len(lanes))
        room = (quota + 6 * math.sqrt(quota) + 10) * len(lanes) / keys
        if room < 1:
            return [_from_within(lane, quota, (1 - room) * chance()) for lane in lanes]
    lanes = split_lanes(keys, batch, MAX_LANES)
    return [replace(lane, kind=VERIFY) for lane in lanes]


def size_of_sample(keys: int, sample: int | None) -> int:
    """How many of so many data keys will be verified, about."""
    return keys if sample is None else min(keys, sample)


def sample_of(lanes: Sequence[Lane], keys: int) -> int:
    """How many of so many data keys these lanes verify."""
    return sum(lane.quota for lane in lanes if lane.quota is not None) or keys


def _from_within(lane: Lane, quota: int, part: float) -> Lane:
    first = lane.after.int if lane.after else 0
    start = UUID(int=first + int((lane.until.int - first) * part))
    return Lane(lane.number, start, lane.until, VERIFY, quota)


def judge(*, stale: int, failed: int, passes: int) -> Verdict:
    """What becomes of a lease whose lanes are through, `stale` keys being left under other versions.

    Keys that could not be opened stay stale: when they are all that is left, the lease has failed. Any
    other key that is left is worth another pass, but no more than MAX_PASSES of them.
    """
    if stale <= failed:
        return Verdict.FAILED if failed else Verdict.COMPLETED
    return Verdict.AGAIN if passes < MAX_PASSES else Verdict.FAILED


def retry_delay(attempt: int, chance: float) -> float:
    """Seconds to wait after the `attempt`-th failure in a row (from 1): 1, 2, 4 ... 30, give or take
    a quarter by `chance` (0 to 1), so that many leases do not come back at the same moment."""
    exponential: float = _FIRST_DELAY_SECONDS * 2.0 ** min(attempt - 1, 10)
    base = min(_LONGEST_DELAY_SECONDS, exponential)
    return base * (1 - _JITTER + 2 * _JITTER * chance)
