"""The clock of a load generator: a warm-up, a window that counts, an end."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any

from benchmarks.figures import percentile


class Window:
    """Counts finished operations and their latencies.

    Ends after `warm_up + seconds`, or as soon as `count` operations were begun. Only what finishes after
    the warm-up is measured; `total` and the processor time include everything.
    """

    def __init__(self, *, seconds: float, warm_up: float = 0.0, count: int | None = None) -> None:
        self.begun = 0
        self.total = 0
        self.failures: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._count = count
        now = time.perf_counter()
        self._from = now + warm_up
        self._until = self._from + seconds
        self._last = now

    def more(self, now: float) -> bool:
        """Whether another operation is to begin; counts it if so. After a failure nothing begins."""
        if now >= self._until or self.failures or self.begun == self._count:
            return False
        self.begun += 1
        return True

    def done(self, began: float, now: float) -> None:
        """An operation succeeded."""
        self.total += 1
        self._last = now
        if self._from <= now <= self._until:
            self._latencies.append(now - began)

    def failed(self, why: str) -> None:
        """An operation did not succeed: the measurement is void."""
        self.failures[why] += 1

    def answer(self) -> dict[str, Any]:
        """What the generator reports: rate per second, latencies in ms, its own processor time in s."""
        ordered = sorted(self._latencies)
        length = max(min(self._last, self._until) - self._from, 1e-9)
        times = os.times()
        return {
            "rate": len(ordered) / length,
            "p50_ms": percentile(ordered, 0.50) * 1e3,
            "p99_ms": percentile(ordered, 0.99) * 1e3,
            "total": self.total,
            "failures": dict(self.failures),
            "cpu_seconds": times.user + times.system,
        }
