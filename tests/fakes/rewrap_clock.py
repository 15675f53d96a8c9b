"""Time that moves only when everybody sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools

_TURNS = 40
"""What has not gone to sleep after so many turns of the event loop waits for something else."""


class Clock:
    """Seconds of a clock of its own; who sleeps wakes in the order of time, however many there are."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Until the time has come, and everybody else sleeps longer."""
        me = (self.now + seconds, next(self._numbers))
        heapq.heappush(self._sleepers, me)
        try:
            quiet = 0
            while quiet < _TURNS:
                first = self._sleepers[0] == me
                quiet = quiet + 1 if first else 0
                await asyncio.sleep(0)
        finally:
            self._sleepers.remove(me)
            heapq.heapify(self._sleepers)
        self.now = max(self.now, me[0])
