"""The places for calls to one service, and turns among those who wait for one.

Nobody has been authenticated here, so tenants are not known; a credential is the nearest thing. One key
stands for one credential (see `transcode`) and has at most a share of the places and of the
waiting room: callers of a slow KMS use up their share, and the others go on. Nor may a key have more places
than are left free: so however many keys have calls that hang, each takes less, and there is a place for the
next who comes ("dynamic threshold", Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
When a place becomes free the keys that wait take turns, each in its own order of arrival.

Not promised: fairness between tenants. Whoever has several credentials has several shares; what one tenant
may cost is bounded where it is known, in the services.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from services.common.errors import DeadlineError, UnavailableError


@dataclass(frozen=True, slots=True)
class Bounds:
    """Calls under way, and calls that wait: how many, and bytes of their requests; of all, and of one key.

    `n` keys that want all they can get have `calls / (n + 1)` places each, at most `calls_per_key`.
    """

    calls: int
    calls_per_key: int
    waiting: int
    waiting_per_key: int
    waiting_bytes: int
    waiting_bytes_per_key: int


class _Queue:
    """Who waits under one key, first come first; a future is done when it has a place."""

    __slots__ = ("bytes", "waiters")

    def __init__(self) -> None:
        self.waiters: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self.bytes = 0


class Places:
    """For one event loop. Each place that was taken must be given back under the same key."""

    __slots__ = ("_bounds", "_bytes", "_free", "_queues", "_taken", "_waiting")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._free = bounds.calls
        self._taken: dict[int, int] = {}
        self._queues: OrderedDict[int, _Queue] = OrderedDict()
        self._waiting = 0
        self._bytes = 0

    @property
    def idle(self) -> bool:
        """Whether nobody has or awaits a place, and nothing is remembered of those who did."""
        return not (self._taken or self._queues or self._waiting or self._bytes)

    def take(self, key: int) -> bool:
        """A place at once, or False. Nobody is overtaken: those who wait could not have had it either."""
        mine = self._taken.get(key, 0)
        if mine >= self._free or mine >= self._bounds.calls_per_key:
            return False
        self._free -= 1
        self._taken[key] = mine + 1
        return True

    async def wait(self, key: int, size: int, ends: float) -> None:
        """A place in its turn. `size` is in bytes, `ends` by the loop's clock.

        Raises UnavailableError when the waiting room is full, DeadlineError when the time has come.
        """
        place = self._join(key, size)
        try:
            async with asyncio.timeout_at(ends):
                await place
        except BaseException as reason:
            if place.done() and not place.cancelled():
                self.give_back(key)  # given in the very moment of the end
            else:
                self._leave(key, place)
            if isinstance(reason, TimeoutError):
                raise DeadlineError from None
            raise

    def give_back(self, key: int) -> None:
        """A place is free again, and goes to the next whose turn it is; then there may be more for others."""
        mine = self._taken[key] - 1
        if mine:
            self._taken[key] = mine
        else:
            del self._taken[key]
        self._free += 1
        while self._queues and self._admit():
            pass

    def _join(self, key: int, size: int) -> asyncio.Future[None]:
        bounds = self._bounds
        queue = self._queues.get(key) or _Queue()
        if (
            self._waiting >= bounds.waiting
            or self._bytes + size > bounds.waiting_bytes
            or len(queue.waiters) >= bounds.waiting_per_key
            or queue.bytes + size > bounds.waiting_bytes_per_key
        ):
            raise UnavailableError("Too many requests are waiting at present.")
        place = asyncio.get_running_loop().create_future()
        queue.waiters[place] = size
        queue.bytes += size
        self._queues[key] = queue
        self._waiting += 1
        self._bytes += size
        return place

    def _admit(self) -> bool:
        """The first key in turn that has not its share yet. Keys at their share are no more than places."""
        for key, queue in self._queues.items():
            # One that was cancelled a moment ago leaves by itself when its task runs.
            place = next((place for place in queue.waiters if not place.done()), None)
            if place is not None and self.take(key):
                self._queues.move_to_end(key)
                self._leave(key, place)
                place.set_result(None)
                return True
        return False

    def _leave(self, key: int, place: asyncio.Future[None]) -> None:
        queue = self._queues[key]
        size = queue.waiters.pop(place)
        queue.bytes -= size
        self._waiting -= 1
        self._bytes -= size
        if not queue.waiters:
            del self._queues[key]
