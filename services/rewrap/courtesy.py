"""How hard the process works while others' calls are served: less when these become slow. Pure but for
clocks.

Each batch's answer says how slow foreground calls are now against what is normal (`slowdown`; 0: there are
none). From that comes the *duty*, the part of its full speed that the process works at: it goes up by steps
while callers are content, down by a factor while they are not (additive increase, multiplicative decrease:
so several processes find a common level by themselves), and is 1 at once when there are no callers. It never
goes below a floor, so a rewrap always ends.

Below 1 batches begin one after another, evenly: at a duty of a quarter, with four places, one is at work at
a time. And all processes together keep still for a moment now and then, while there are callers: then
secrets learns anew what is normal for the load there is now. The moments are those of the clock on the wall,
so that nobody need arrange them.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_SECONDS: Final = 0.4
"""Between two changes of the duty: about what secrets needs to see what the last one did."""
INCREASE: Final = 0.03
"""Of the duty, each step."""
GENTLE: Final = 0.85
HARD: Final = 0.5
"""A step down leaves no more than the one and no less than the other of the duty."""
START: Final = 0.2
"""The duty when slow callers are met at full speed: with four places, one batch at a time or nearly."""
SMALLEST_SHARE: Final = 0.2
"""Of a batch: below that its fixed cost is more than that of its keys."""
PROBE_EVERY_SECONDS: Final = 3.0
PROBE_SECONDS: Final = 0.25
"""So often, and for so long, all is still while there are callers."""


class Duty:
    """The part of full speed, and when the next batch may begin. Times are seconds of one clock each."""

    def __init__(self, limit: float, *, floor: float, places: int) -> None:
        """`limit`: the slowdown that is put up with. `places`: batches that may be under way at a time."""
        self._limit = limit
        self._floor = floor
        self._places = places
        self._next_step = float("-inf")
        self._free_at = float("-inf")
        self.level = 1.0
        """The floor to 1."""

    def learn(self, now: float, slowdown: float) -> None:
        """Callers are so slow now."""
        if not slowdown:
            self.level = 1.0
            self._free_at = now
        elif self.level == 1.0 and slowdown > self._limit:
            self._step(now, START)
        elif now >= self._next_step and slowdown > self._limit:
            self._step(now, self.level * min(GENTLE, max(HARD, self._limit / slowdown)))
        elif now >= self._next_step:
            self._step(now, self.level + INCREASE)

    def _step(self, now: float, level: float) -> None:
        self._next_step = now + STEP_SECONDS
        self.level = min(1.0, max(self._floor, level))

    def begin(self, now: float, worked_seconds: float) -> float:
        """When the next batch may begin, after one that took so long; each call is one batch."""
        if self.level == 1.0:
            return now
        begin = max(now, self._free_at)
        self._free_at = begin + worked_seconds / (self.level * self._places)
        return begin

    def share(self, keys: int) -> int:
        """How many of so many keys the next batch had better have: callers wait behind a short one only."""
        return max(1, int(keys * max(SMALLEST_SHARE, self.level)))


def left_of_probe(wall: float) -> float:
    """For how many seconds all is still yet at a moment of the clock on the wall; 0: it is not."""
    return max(0.0, PROBE_SECONDS - wall % PROBE_EVERY_SECONDS)


class Courtesy:
    """Shared by all lanes and leases of a process; belongs to one event loop.

    Promised: over some seconds, duty x `places` batches are at work at a time and no more; nobody is held
    back for ever. Not promised: that callers are as fast as without.
    """

    def __init__(
        self,
        limit: float,
        *,
        floor: float,
        places: int,
        show: Callable[[float, float], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """As `Duty`; a limit of 0: never give way. `show` is told the duty, and for how many seconds a batch
        is held back."""
        self._duty = Duty(limit, floor=floor, places=places)
        self._off = not limit
        self._show = show
        self._clock = clock
        self._wall = wall
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Hold nobody back any more, and let go of who is held back now."""
        self._stopped.set()

    def share(self, keys: int) -> int:
        """How many of so many keys the next batch is to have: 1 to `keys`, all when nobody calls."""
        return keys if self._off or self._stopped.is_set() else self._duty.share(keys)

    async def give_way(self, worked_seconds: float, slowdown: float) -> None:
        """Return when the next batch may begin, after one that took so long and was answered so."""
        if self._off or self._stopped.is_set():
            return
        now = self._clock()
        self._duty.learn(now, slowdown)
        held = self._duty.begin(now, worked_seconds) - now
        if slowdown:
            held += left_of_probe(self._wall() + held)
        self._show(self._duty.level, held)
        if held > 0:
            await self._sleep(held)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return
