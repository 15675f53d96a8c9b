"""At most so many at a time for each tenant; a bounded number waits, the others are turned away. Pure."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

WAITING: Final = 64
"""Waiters of a tenant while its turns go round."""
STALLED_WAITING: Final = 8
"""Waiters of a tenant once its turns have stopped going round: its KMS does not answer."""
PATIENCE_SECONDS: Final = 3.0
"""Turns have stopped when no place was given for so long."""


@dataclass(slots=True)
class _Queue:
    free: int
    moved_at: float
    waiters: deque[asyncio.Future[None]] = field(default_factory=deque)
    users: int = 0
    timer: asyncio.TimerHandle | None = None


class Turns:
    """Belongs to one event loop. Keeps nothing of tenants that want nothing."""

    def __init__(
        self,
        at_once: int,
        *,
        waiting: int = WAITING,
        stalled_waiting: int = STALLED_WAITING,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._at_once = at_once
        self._waiting = waiting
        self._stalled_waiting = stalled_waiting
        self._patience = patience
        self._queues: dict[UUID, _Queue] = {}

    @contextlib.asynccontextmanager
    async def take(self, tenant_id: UUID) -> AsyncIterator[None]:
        """One of the tenant's places, in the order asked.

        Raises UnavailableError when too many wait already, or when the turns stop and more wait than may
        then: those who came last go first.
        """
        now = asyncio.get_running_loop().time()
        queue = self._queues.setdefault(tenant_id, _Queue(self._at_once, now))
        queue.users += 1
        try:
            await self._enter(queue)
            try:
                yield
            finally:
                _leave(queue)
        finally:
            queue.users -= 1
            if not queue.users:
                self._queues.pop(tenant_id, None)
                if queue.timer is not None:
                    queue.timer.cancel()

    async def _enter(self, queue: _Queue) -> None:
        loop = asyncio.get_running_loop()
        if queue.free:
            queue.free -= 1
            queue.moved_at = loop.time()
            return
        stalled = loop.time() - queue.moved_at >= self._patience
        if len(queue.waiters) >= (self._stalled_waiting if stalled else self._waiting):
            raise _crowded()
        place = loop.create_future()
        queue.waiters.append(place)
        self._watch(queue)
        try:
            await place
        except asyncio.CancelledError:
            if place in queue.waiters:
                queue.waiters.remove(place)
            elif not place.cancelled() and place.exception() is None:
                _leave(queue)  # it was given a place in the same moment
            raise

    def _watch(self, queue: _Queue) -> None:
        """Look when the turns might have stopped, if there would be somebody to turn away."""
        if queue.timer is None and len(queue.waiters) > self._stalled_waiting:
            loop = asyncio.get_running_loop()
            queue.timer = loop.call_at(queue.moved_at + self._patience, self._look, queue)

    def _look(self, queue: _Queue) -> None:
        queue.timer = None
        if asyncio.get_running_loop().time() - queue.moved_at >= self._patience:
            while len(queue.waiters) > self._stalled_waiting:
                place = queue.waiters.pop()
                if not place.done():
                    place.set_exception(_crowded())
        self._watch(queue)


def _leave(queue: _Queue) -> None:
    """Hand the place to who waits longest."""
    queue.moved_at = asyncio.get_running_loop().time()
    while queue.waiters:
        place = queue.waiters.popleft()
        if not place.done():
            place.set_result(None)
            return
    queue.free += 1


def _crowded() -> UnavailableError:
    return UnavailableError(
        "Too many calls that need this tenant's KMS key are waiting; try again in a moment."
    )
