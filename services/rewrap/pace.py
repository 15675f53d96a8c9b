"""How fast a lease goes: the throttle it is held to, and the rate it shows. Pure but for the clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WINDOW_SECONDS: Final = 5.0
"""The rate shown is the mean of the last so many seconds."""
_SHARES_PER_SECOND: Final = 4
"""Under a throttle a batch is so small that about this many of them fill a second."""


class Throttle:
    """Admits data keys at no more than a rate, over all lanes of a lease together.

    Promised: between any two moments no more than rate x time + one batch. Not promised: an even flow
    inside a batch.
    """

    def __init__(
        self,
        per_second: int | None,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._free_at = float("-inf")

    def set(self, per_second: int | None) -> None:
        """Change the rate, None: no bound. Who sleeps already sleeps on."""
        self._per_second = per_second

    def share(self, batch: int) -> int:
        """How large a batch may be, at most `batch`."""
        if self._per_second is None:
            return batch
        return max(1, min(batch, self._per_second // _SHARES_PER_SECOND))

    async def admit(self, keys: int) -> None:
        """Return when the next `keys` may be worked on."""
        if self._per_second is None:
            return
        now = self._clock()
        start = max(now, self._free_at)
        self._free_at = start + keys / self._per_second
        if start > now:
            await self._sleep(start - now)

    def give_back(self, keys: int) -> None:
        """Of those admitted, so many were not worked on after all."""
        if self._per_second is not None:
            self._free_at -= keys / self._per_second


class RateMeter:
    """Keys per second over the last WINDOW_SECONDS."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._moves: deque[tuple[float, int]] = deque()

    def add(self, keys: int) -> None:
        """So many were moved just now."""
        self._moves.append((self._clock(), keys))

    def rate(self) -> float | None:
        """Moved per second; None before there was any time to measure."""
        now = self._clock()
        start = max(self._began, now - WINDOW_SECONDS)
        while self._moves and self._moves[0][0] < start:
            self._moves.popleft()
        if now <= start:
            return None
        return sum(keys for _, keys in self._moves) / (now - start)
