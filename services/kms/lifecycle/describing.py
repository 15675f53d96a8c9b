"""Use case: look at the tenant's own KMS. Pure.

The census is exact and counts all data keys of the tenant. So however many ask at a time, one look is under
way, and one waits for its end: whoever asks is answered by a look that began after he asked, and sees
everything that was done before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.common.errors import DeadlineError

if TYPE_CHECKING:
    from uuid import UUID

    from services.kms.model import TenantKms
    from services.kms.ports import BindingStore, DrainWatch


@dataclass(slots=True)
class _Look:
    work: asyncio.Task[TenantKms | None]
    waiting: int = 0


class Describing:
    """Belongs to one event loop. Keeps nothing of tenants that nobody looks at."""

    def __init__(self, store: BindingStore, drains: DrainWatch) -> None:
        self._store = store
        self._drains = drains
        self._under_way: dict[UUID, asyncio.Task[TenantKms | None]] = {}
        self._following: dict[UUID, _Look] = {}

    async def describe(self, tenant_id: UUID) -> TenantKms | None:
        """The current binding, every version and the census, of one moment after this was called.

        None for a tenant without a binding, or whose drained binding was left just now. Raises as the store.
        A caller that gives up stops nobody else's look; the last one stops it.
        """
        look = self._following.get(tenant_id)
        if look is None:
            work = asyncio.create_task(self._after(tenant_id, self._under_way.get(tenant_id)))
            work.add_done_callback(_looked_at)
            look = self._following[tenant_id] = _Look(work)
        look.waiting += 1
        try:
            return await asyncio.shield(look.work)
        finally:
            look.waiting -= 1
            if not look.waiting:
                if self._following.get(tenant_id) is look:
                    del self._following[tenant_id]
                look.work.cancel()

    async def _after(
        self, tenant_id: UUID, before: asyncio.Task[TenantKms | None] | None
    ) -> TenantKms | None:
        if before is not None:
            await asyncio.wait((before,))
        look = self._following.pop(tenant_id)  # who comes from now on may have changed something
        self._under_way[tenant_id] = look.work
        try:
            return await self._look(tenant_id)
        finally:
            del self._under_way[tenant_id]

    async def _look(self, tenant_id: UUID) -> TenantKms | None:
        found = await self._store.describe(tenant_id)
        if found is not None and found.drained and await self._left(tenant_id):
            return None
        return found

    async def _left(self, tenant_id: UUID) -> bool:
        """Leave the drained binding; not now, if others hold the ring for so long: looking must work."""
        try:
            return await self._drains.finish(tenant_id)
        except DeadlineError:
            return False


def _looked_at(work: asyncio.Task[TenantKms | None]) -> None:
    """Also when everybody who waited has gone."""
    if not work.cancelled():
        work.exception()
