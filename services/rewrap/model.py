"""The values of rewrap: leases, lanes, batches, and the decisions made about them. Pure.

A lease is the promise that everything a tenant stores moves to one version of its master key. A lane is
a range of data-key ids of one lease, worked through from its cursor to its end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence
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

MAX_PASSES: Final = 3
"""How often a lease's lanes are gone through before what is still left counts as a failure."""
_UUID_SPACE: Final = 1 << 128
_FIRST_DELAY_SECONDS: Final = 1.0
_LONGEST_DELAY_SECONDS: Final = 30.0
_JITTER: Final = 0.25


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """Which lease."""

    tenant_id: UUID
    lease_id: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as a person sees it. `rate_per_second` is None while nothing is known about it."""

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

    @property
    def eta_seconds(self) -> int | None:
        """Seconds left at the present rate; None while that is unknown or zero."""
        if self.state != "running" or self.total is None or not self.rate_per_second:
            return None
        left = max(0, self.total - self.done - self.skipped - self.failed)
        return math.ceil(left / self.rate_per_second)


@dataclass(frozen=True, slots=True)
class LeasePage:
    """A page of leases, newest first, and how many there are in all."""

    leases: Sequence[Lease]
    total: int


@dataclass(frozen=True, slots=True)
class Lane:
    """Ids after `after` (None: from the first) up to `until`, included."""

    number: int
    after: UUID | None
    until: UUID


@dataclass(frozen=True, slots=True)
class Taken:
    """A lease that this worker holds: whoever takes it next raises the fence.

    `lanes` are the unfinished ones. `attempts` counts the attempts before this one that ended in
    waiting without any progress.
    """

    ref: LeaseRef
    fence: int
    target_version: int
    throttle_per_second: int | None
    attempts: int
    lanes: Sequence[Lane]


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch to be done: at most `limit` data keys of a lane."""

    ref: LeaseRef
    fence: int
    target_version: int
    lane: Lane
    limit: int


@dataclass(frozen=True, slots=True)
class BatchDone:
    """What a batch did; its counts and cursor are saved already."""

    done: int
    skipped: int
    failed: int
    cursor: UUID | None
    lane_finished: bool

    @property
    def keys(self) -> int:
        """How many data keys it dealt with."""
        return self.done + self.skipped + self.failed


class Verdict(Enum):
    """What becomes of a lease whose lanes are through."""

    COMPLETED = "completed"
    FAILED = "failed"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a lease may go: keys per second; None: as fast as it can."""

    throttle_per_second: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a lease whose lanes were through; new lanes only when it is to go on."""

    verdict: Verdict
    lanes: Sequence[Lane] = ()


@dataclass(frozen=True, slots=True)
class LiveLeases:
    """What the dispatcher sees across tenants.

    `due` may be worked on now; the next waiting one becomes due in `next_due_seconds` (None: none
    waits). `by_state` counts all that are alive.
    """

    due: Sequence[LeaseRef]
    next_due_seconds: float | None
    by_state: dict[str, int]


def split_lanes(total: int, batch: int, most: int) -> list[Lane]:
    """Divide the id space evenly, into no more lanes than there are batches (at least 1)."""
    count = max(1, min(most, math.ceil(total / batch)))
    ends = [UUID(int=_UUID_SPACE * (number + 1) // count - 1) for number in range(count)]
    return [Lane(n, ends[n - 1] if n else None, end) for n, end in enumerate(ends)]


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
