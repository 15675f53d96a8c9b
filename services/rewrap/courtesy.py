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
    from collections.abc import Awaitable, Callable

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
_SHORTEST_SECONDS: Final = 0.001
LOOK_SECONDS: Final = 0.25
"""Who is held back looks so often whether it still has to be."""
LONGEST_SECONDS: Final = 10.0
"""Between the beginnings of two batches, at the duty of the first: who calls, only a batch can tell."""


class Duty:
    """The part of full speed, and the line of those who wait to begin. Times are seconds of one clock.

    The line is kept in seconds of work, not of the clock: who waits is nearer at once when the duty goes up.
    """

    def __init__(self, limit: float, *, floor: float, places: int) -> None:
        """`limit`: the slowdown that is put up with. `places`: batches that may be under way at a time."""
        self._limit = limit
        self._floor = floor
        self._places = places
        self._next_step = self._at = float("-inf")
        self._allowed = 0.0
        self._promised = 0.0
        self.level = 1.0
        """The floor to 1."""

    def learn(self, now: float, slowdown: float) -> None:
        """Callers are so slow now."""
        self._pass(now)
        if not slowdown:
            self._set(1.0)
        elif self.level == 1.0 and slowdown > self._limit:
            self._step(now, START)
        elif now >= self._next_step and slowdown > self._limit:
            self._step(now, self.level * min(GENTLE, max(HARD, self._limit / slowdown)))
        elif now >= self._next_step:
            self._step(now, self.level + INCREASE)

    def _step(self, now: float, level: float) -> None:
        self._next_step = now + STEP_SECONDS
        self._set(min(1.0, max(self._floor, level)))

    def _set(self, level: float) -> None:
        self.level = level
        if level == 1.0:
            self._allowed = self._promised  # nobody waits any more

    def line_up(self, now: float, worked_seconds: float) -> float:
        """A place in the line, after a batch that took so long; each call is one batch."""
        self._pass(now)
        place = self._promised = max(self._allowed, self._promised)
        if self.level < 1.0:
            self._promised += min(worked_seconds, LONGEST_SECONDS * self.level * self._places)
        return place

    def left(self, now: float, place: float) -> float:
        """In how many seconds it is the turn of a place, if the duty stays as it is; 0: now."""
        self._pass(now)
        return max(0.0, place - self._allowed) / (self.level * self._places)

    def _pass(self, now: float) -> None:
        """What may be worked grows with time, and with the duty."""
        if now > self._at > float("-inf"):
            self._allowed += (now - self._at) * self.level * self._places
        self._at = max(self._at, now)

    def share(self, keys: int) -> int:
        """How many of so many keys the next batch had better have: callers wait behind a short one only."""
        return max(1, int(keys * max(SMALLEST_SHARE, self.level)))


def left_of_probe(wall: float) -> float:
    """For how many seconds all is still yet at a moment of the clock on the wall; 0: it is not."""
    return max(0.0, PROBE_SECONDS - wall % PROBE_EVERY_SECONDS)


class Courtesy:
    """Shared by all lanes and leases of a process; belongs to one event loop.

    Promised: over some seconds, duty x `places` batches are at work at a time and no more, unless one takes
    very long; nobody is held back for ever, nor longer than `LOOK_SECONDS` once there is no reason. Not
    promised: that callers are as fast as without.
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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """As `Duty`; a limit of 0: never give way. `show` is told the duty, and for how many seconds a batch
        was held back since it was told last."""
        self._duty = Duty(limit, floor=floor, places=places)
        self._off = not limit
        self._show = show
        self._clock = clock
        self._wall = wall
        self._sleep = sleep

    def stop(self) -> None:
        """Hold nobody back any more, and let go of who is held back now."""
        self._off = True

    def share(self, keys: int) -> int:
        """How many of so many keys the next batch is to have: 1 to `keys`, all when nobody calls."""
        return keys if self._off else self._duty.share(keys)

    async def give_way(
        self, worked_seconds: float, slowdown: float, halted: Callable[[], bool]
    ) -> None:
        """Return when the next batch may begin, after one that took so long and was answered so.

        And soon when `halted`.
        """

        def let_go() -> bool:
            return self._off or halted()

        now = self._clock()
        self._duty.learn(now, slowdown)
        if let_go():
            return
        place = self._duty.line_up(now, worked_seconds)
        self._show(self._duty.level, 0.0)
        while left := self._duty.left(self._clock(), place):
            if let_go():
                return
            await self._rest(left)
        still = left_of_probe(self._wall()) if slowdown else 0.0
        if still and not let_go():
            await self._rest(still)

    async def _rest(self, seconds: float) -> None:
        began = self._clock()
        await self._sleep(min(LOOK_SECONDS, max(_SHORTEST_SECONDS, seconds)))
        self._show(self._duty.level, self._clock() - began)
