"""How slow callers' requests are now, against what is normal here. Pure but for the clock.

*Normal* is what a call takes while no rewrap is at work in this process: it is learned in every gap between
two batches, and a rewrap that gives way leaves such gaps. *Now* is what calls take lately, whatever happens
meanwhile. Both are means of this process's own time for a call of one kind: they see the database, kms and a
crowded processor, and leave out what the gateway and the network add. The queue of a busy process is in them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

CREATE: Final = "create"
CERTIFICATE: Final = "certificate"
WRITE: Final = "write"
ACCESS: Final = "access"
_BATCHES: Final = tuple(f"batch {size}" for size in range(11))

BUCKET_SECONDS: Final = 0.2
_BUCKETS: Final = 25
_ENOUGH: Final = 20
"""Calls, in the latest buckets together, that *now* is the mean of if there are so many."""
_RECENT: Final = 3
"""Buckets that it covers at least."""
IDLE_SECONDS: Final = 2.0
"""After this long without any call nobody is there."""
KNOWN: Final = 10
"""Calls after which normal is known."""
UNKNOWN: Final = 2.0
"""Told while nothing is known of any call there is: a rewrap at full speed would leave no gap to learn in."""
_MEMORY: Final = 200
"""Calls that normal is the mean of, about."""
SETTLE_SECONDS: Final = 0.02
"""After a batch its traces are gone: what waited for it has been served."""
_OUTLIER: Final = 8.0
"""No call counts as longer than so many times the normal: one that hangs says nothing of the others."""


def batch(items: int) -> str:
    """The kind of a call for so many values: those of like size are compared."""
    return _BATCHES[min(items.bit_length(), len(_BATCHES) - 1)]


@dataclass(slots=True)
class _Kind:
    """What is known of one kind of calls. Bucket number n is at n modulo their count."""

    sums: list[float] = field(default_factory=lambda: [0.0] * _BUCKETS)
    counts: list[int] = field(default_factory=lambda: [0] * _BUCKETS)
    bucket: int = 0
    normal: float = 0.0
    learned: int = 0

    def turn(self, bucket: int) -> None:
        """Go on to a bucket, wiping those between."""
        for number in range(max(self.bucket, bucket - _BUCKETS) + 1, bucket + 1):
            self.sums[number % _BUCKETS] = 0.0
            self.counts[number % _BUCKETS] = 0
        self.bucket = bucket

    def add(self, bucket: int, seconds: float, *, quiet: bool) -> None:
        """A call ended."""
        if bucket != self.bucket:
            self.turn(bucket)
        if self.learned >= KNOWN:
            seconds = min(seconds, _OUTLIER * self.normal)
        place = bucket % _BUCKETS
        self.sums[place] += seconds
        self.counts[place] += 1
        if quiet:
            self.learned += 1
            self.normal += (seconds - self.normal) / min(self.learned, _MEMORY)

    def now(self, bucket: int) -> tuple[float, int]:
        """The mean of what calls took lately, and how many it is of (0: there were none)."""
        self.turn(bucket)
        total, count = 0.0, 0
        for back in range(_BUCKETS):
            if back >= _RECENT and count >= _ENOUGH:
                break
            total += self.sums[(bucket - back) % _BUCKETS]
            count += self.counts[(bucket - back) % _BUCKETS]
        return (total / count if count else 0.0), count


class Foreground:
    """The meter of one process. Two clock readings and a few additions a call; belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self._calls = 0
        self._last_call = float("-inf")
        self._batches = 0
        self._last_batch = float("-inf")
        self._told = 0.0
        self._told_in = -1

    def call(self, kind: str) -> _Call:
        """Measures the block, a call of a caller; one that fails does not count."""
        return _Call(self, kind)

    def working(self) -> _Working:
        """The block is a batch of a rewrap."""
        return _Working(self)

    def slowdown(self) -> float:
        """Now divided by normal, over all kinds of calls there are, by their number.

        0: there are none lately. UNKNOWN: what is normal for them is not known yet.
        """
        now = self._clock()
        if not self._calls and now - self._last_call > IDLE_SECONDS:
            self._told = 0.0
            return 0.0
        bucket = int(now / BUCKET_SECONDS)
        if bucket != self._told_in:
            self._told_in = bucket
            self._told = self._compare(bucket)
        return self._told

    def _compare(self, bucket: int) -> float:
        ratios, calls, seen = 0.0, 0, 0
        for kind in self._kinds.values():
            mean, count = kind.now(bucket)
            seen += count
            if count and kind.learned >= KNOWN:
                # A rewrap makes nothing faster: the load has gone down since normal was learned.
                kind.normal = min(kind.normal, (kind.normal + mean) / 2)
                ratios += count * mean / kind.normal
                calls += count
        if calls:
            return ratios / calls
        return UNKNOWN if seen else self._told

    def began(self) -> float:
        """A call begins."""
        self._calls += 1
        return self._clock()

    def ended(self, kind: str, began: float, *, failed: bool) -> None:
        """It ended."""
        now = self._last_call = self._clock()
        self._calls -= 1
        if failed:
            return
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = _Kind(bucket=int(now / BUCKET_SECONDS))
        quiet = not self._batches and began - self._last_batch >= SETTLE_SECONDS
        known.add(int(now / BUCKET_SECONDS), now - began, quiet=quiet)

    def batch_began(self) -> None:
        """A batch begins."""
        self._batches += 1

    def batch_ended(self) -> None:
        """It ended."""
        self._batches -= 1
        self._last_batch = self._clock()


class _Call:
    __slots__ = ("_began", "_foreground", "_kind")

    def __init__(self, foreground: Foreground, kind: str) -> None:
        self._foreground = foreground
        self._kind = kind
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = self._foreground.began()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._foreground.ended(self._kind, self._began, failed=error is not None)


class _Working:
    __slots__ = ("_foreground",)

    def __init__(self, foreground: Foreground) -> None:
        self._foreground = foreground

    def __enter__(self) -> None:
        self._foreground.batch_began()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._foreground.batch_ended()
