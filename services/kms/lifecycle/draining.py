"""The end of the way back to the platform's key: bindings that nothing needs any more are left.

Rewrap knows nothing of bindings, so kms looks: when asked for the status, soon and again while this process
knows of a draining ring, and now and then at all of them, for those whose process is gone.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final

from services.common.defects import describe
from services.common.errors import CofferError
from services.common.identity import Call
from services.kms.keys.announcements import Announcement, Kind

if TYPE_CHECKING:
    from uuid import UUID

    from services.kms.keys.master_keys import MasterKeys
    from services.kms.ports import BindingStore, Clock

SEARCH_SECONDS: Final = 60.0
"""How often the database is searched for draining rings that nobody here knows; also at start."""
MAX_FOUND: Final = 1_000
SOONEST_SECONDS: Final = 2.0
"""Between two looks at one ring, at least."""
_REST: Final = 20.0
"""A look counts the tenant's data keys: so many times as long as it took, the ring is left alone."""
_JITTER: Final = 0.1
_TICK_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)


class Draining:
    """Implements DrainWatch. Belongs to one event loop; looks at one ring at a time."""

    def __init__(self, store: BindingStore, master_keys: MasterKeys, *, clock: Clock) -> None:
        self._store = store
        self._master_keys = master_keys
        self._clock = clock
        self._look_at: dict[UUID, float] = {}
        self._search_at = float("-inf")

    def watch(self, tenant_id: UUID) -> None:
        """See DrainWatch."""
        self._look_at.setdefault(tenant_id, self._clock() + SOONEST_SECONDS)

    async def finish(self, tenant_id: UUID) -> bool:
        """See DrainWatch."""
        left = await self._store.finish_draining(Call.of_service("kms"), tenant_id)
        if left is None:
            return False
        self._look_at.pop(tenant_id, None)
        self._master_keys.heard(Announcement(Kind.REPLACED, tenant_id, left.id))
        _log.info("binding %s was drained", left.id)
        return True

    async def run(self) -> None:
        """Look until cancelled. A fault of one look ends nothing."""
        while True:
            try:
                await self.look()
            except CofferError as error:
                _log.warning("draining rings could not be looked at: %s", error.code)
            except Exception as error:  # noqa: BLE001 - its text may hold anything
                _log.error("a defect in the background: %s", describe(error))
            await asyncio.sleep(_TICK_SECONDS)

    async def look(self) -> None:
        """Do what is due. Raises as the store; what was due is put off then."""
        if self._clock() >= self._search_at:
            self._search_at = self._clock() + SEARCH_SECONDS * _about_one()
            for tenant_id in await self._store.draining_rings(MAX_FOUND):
                self._look_at.setdefault(tenant_id, self._clock())
        now = self._clock()
        for tenant_id in [known for known, at in self._look_at.items() if now >= at]:
            await self._look(tenant_id)

    async def _look(self, tenant_id: UUID) -> None:
        self._look_at[tenant_id] = self._clock() + SEARCH_SECONDS * _about_one()
        began = self._clock()
        if await self.finish(tenant_id):
            return
        binding = await self._store.current(tenant_id)
        if binding is None or not binding.draining:
            # Another process left it, or a key was connected again.
            self._look_at.pop(tenant_id, None)
            return
        rest = max(SOONEST_SECONDS, _REST * (self._clock() - began))
        self._look_at[tenant_id] = self._clock() + min(SEARCH_SECONDS, rest) * _about_one()


def _about_one() -> float:
    return random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, hides nothing
