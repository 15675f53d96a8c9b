"""At most so many at a time for each tenant; the others wait. Pure."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID


@dataclass(slots=True)
class _Queue:
    places: asyncio.Semaphore
    users: int = field(default=0)


class Turns:
    """Belongs to one event loop. Keeps nothing of tenants that want nothing."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._queues: dict[UUID, _Queue] = {}

    @contextlib.asynccontextmanager
    async def take(self, tenant_id: UUID) -> AsyncIterator[None]:
        """One of the tenant's places, in the order asked."""
        queue = self._queues.setdefault(tenant_id, _Queue(asyncio.Semaphore(self._at_once)))
        queue.users += 1
        try:
            async with queue.places:
                yield
        finally:
            queue.users -= 1
            if not queue.users:
                self._queues.pop(tenant_id, None)
