"""Removing for ever what was deleted too long ago to be restored: values, data keys and all.

Every process of the service looks now and then; what one has in hand the others pass over. A secret that
fails is left to the next turn, and keeps a turn neither from the tenant's others nor from the other tenants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from services.common.background import repeatedly
from services.common.defects import describe
from services.common.errors import CofferError, UnavailableError
from services.common.identity import Call
from services.secrets.overdue import Purged

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from services.secrets.overdue import OverdueSecret
    from services.secrets.ports import Overdue, Purges

LOOKED_FOR: Final = 500
"""Overdue secrets that are found at a time, of any tenants."""
AT_A_TIME: Final = 50
"""Secrets that one transaction removes at most; fewer where they have many versions."""

_log = structlog.get_logger(__name__)


class Purger:
    """Purges every `every_seconds`, less or more by half, so that processes drift apart."""

    def __init__(self, overdue: Overdue, store: Purges, *, every_seconds: float) -> None:
        self._overdue = overdue
        self._store = store
        self._every = every_seconds

    async def run(self) -> None:
        """Purge until cancelled."""
        await repeatedly(self.turn, self._every, "purge")

    async def turn(self) -> int:
        """Purge all that is overdue now; returns how many secrets are gone. Raises UnavailableError and
        its like when nothing can be found."""
        purged = 0
        last: OverdueSecret | None = None
        while found := await self._overdue.find(last, LOOKED_FOR):
            for tenant_id, secret_ids in _by_tenant(found).items():
                purged += await self._purge(tenant_id, secret_ids)
            last = found[-1]
        if purged:
            _log.info("secrets_purged", secrets=purged)
        return purged

    async def _purge(self, tenant_id: UUID, secret_ids: list[UUID]) -> int:
        purged = 0
        while part := secret_ids[:AT_A_TIME]:
            try:
                done = await self._store.purge(tenant_id, part, Call.of_service("secrets"))
            except UnavailableError as error:
                _log.warning("purge_failed", tenant_id=str(tenant_id), code=error.code)
                return purged
            except Exception as error:  # noqa: BLE001 - the others must not stay for ever
                done = await self._set_aside(tenant_id, part, error)
            purged += done.purged
            secret_ids = [*done.left, *secret_ids[AT_A_TIME:]]
        return purged

    async def _set_aside(self, tenant_id: UUID, part: list[UUID], error: Exception) -> Purged:
        """Purge each for itself, so that only the ones that fail alone stay."""
        if len(part) > 1:
            return Purged(sum([await self._purge(tenant_id, [one]) for one in part]))
        about = {"tenant_id": str(tenant_id), "secret_id": str(part[0])}
        if isinstance(error, CofferError):
            _log.warning("purge_failed", code=error.code, **about)
        else:
            _log.error("purge_defect", **about, **describe(error))
        return Purged(0)


def _by_tenant(found: Iterable[OverdueSecret]) -> dict[UUID, list[UUID]]:
    tenants: dict[UUID, list[UUID]] = {}
    for secret in found:
        tenants.setdefault(secret.tenant_id, []).append(secret.id)
    return tenants
