"""Places for batches under way in the process, given in turns: one lease after another.

A lease with many lanes waits no shorter than one with a single lane. Pure.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

Key = TypeVar("Key", bound="Hashable")


class Turns(Generic[Key]):
    """Belongs to one event loop. Keeps nothing of keys that want nothing."""

    def __init__(self, places: int) -> None:
        """So many may be at it at once."""
        self._free = places
        self._waiting: OrderedDict[Key, deque[asyncio.Future[None]]] = OrderedDict()

    @contextlib.asynccontextmanager
    async def take(self, key: Key) -> AsyncIterator[None]:
        """A place, when it is the turn of `key`; among those of one key, in the order asked."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._queue(key)
        try:
            yield
        finally:
            self._free += 1
            self._hand_out()

    async def _queue(self, key: Key) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._free += 1  # it was given a place in the same moment
                self._hand_out()
            raise

    def _hand_out(self) -> None:
        """The next key's first waiter gets the place; then it is another key's turn."""
        while self._free and self._waiting:
            key, waiters = self._waiting.popitem(last=False)
            place = waiters.popleft()
            if waiters:
                self._waiting[key] = waiters
            if not place.done():
                place.set_result(None)
                self._free -= 1
