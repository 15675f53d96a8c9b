"""Places for batches under way in the process, given in turns: one lease after another.

A lease with many lanes waits no shorter than one with a single lane. And none takes the last place while
another, that is at it too, has none: so slow batches of one lease do not hold up the quick ones of others.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable

Key = TypeVar("Key", bound="Hashable")

_LINGER_SECONDS: Final = 1.0
"""So long a key counts as being at it after it gave a place back: between two batches, that is."""


class Turns(Generic[Key]):
    """Belongs to one event loop. Keeps nothing for long of keys that want nothing.

    Not promised: a place at once for a key that was not at it: others may have taken all until then.
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        """So many may be at it at once. `clock` is in seconds and never goes back."""
        self._free = places
        self._clock = clock
        self._waiting: OrderedDict[Key, deque[asyncio.Future[None]]] = OrderedDict()
        self._held: Counter[Key] = Counter()
        self._left_at: dict[Key, float] = {}

    @contextlib.asynccontextmanager
    async def take(self, key: Key) -> AsyncIterator[None]:
        """A place, when it is the turn of `key`; among those of one key, in the order asked."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(place)
        self._hand_out()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._give_back(key)  # it was given a place in the same moment
            else:
                self._forget(key, place)
            raise
        try:
            yield
        finally:
            self._give_back(key)

    def _give_back(self, key: Key) -> None:
        self._free += 1
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
            self._left_at[key] = self._clock()
        self._hand_out()

    def _forget(self, key: Key, place: asyncio.Future[None]) -> None:
        waiters = self._waiting[key]
        waiters.remove(place)
        if not waiters:
            del self._waiting[key]
        self._hand_out()

    def _hand_out(self) -> None:
        """The first key that may gets a place for its first waiter; then it is another key's turn."""
        now = self._clock()
        self._left_at = {k: at for k, at in self._left_at.items() if now - at < _LINGER_SECONDS}
        while (key := next(filter(self._may, self._waiting), None)) is not None:
            waiters = self._waiting.pop(key)
            place = waiters.popleft()
            if waiters:
                self._waiting[key] = waiters
            if not place.done():
                place.set_result(None)
                self._free -= 1
                self._held[key] += 1

    def _may(self, key: Key) -> bool:
        """A place is kept for each key that is at it and has none, as far as they go."""
        if not self._free or key not in self._held:
            return self._free > 0
        others = {k for k in (*self._waiting, *self._left_at) if k not in self._held}
        return self._free > len(others)
