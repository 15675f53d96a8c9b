"""What an administrator asks of rewrap: the list of leases, and one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.errors import NotFoundError, ValidationError
from services.rewrap.model import STATES, LeaseRef

if TYPE_CHECKING:
    from uuid import UUID

    from services.rewrap.model import Lease, LeasePage
    from services.rewrap.ports import LeaseReader

DEFAULT_PER_PAGE: Final = 20
MAX_PER_PAGE: Final = 100
_MAX_PAGE: Final = 1_000_000_000
_MAX_ID: Final = (1 << 63) - 1


class Rewraps:
    """A tenant's rewrap leases, read only."""

    def __init__(self, leases: LeaseReader) -> None:
        self._leases = leases

    async def list(
        self, tenant_id: UUID, *, state: str | None, page: int, per_page: int
    ) -> LeasePage:
        """One page, newest first; no `state`, or an empty one, asks for all.

        Raises ValidationError naming every field that is wrong.
        """
        faults: dict[str, list[str]] = {}
        state = state or None
        if state is not None and state not in STATES:
            faults["state"] = [f"must be one of {', '.join(STATES)}"]
        if not 1 <= page <= _MAX_PAGE:
            faults["page"] = ["must be 1 or more"]
        if not 1 <= per_page <= MAX_PER_PAGE:
            faults["per_page"] = [f"must be from 1 to {MAX_PER_PAGE}"]
        if faults:
            told = "; ".join(f"{name} {texts[0]}" for name, texts in faults.items())
            raise ValidationError(f"{told}.", fields=faults)
        return await self._leases.page(
            tenant_id, state, offset=(page - 1) * per_page, limit=per_page
        )

    async def get(self, tenant_id: UUID, lease_id: int) -> Lease:
        """One lease. Raises NotFoundError, also for another tenant's."""
        known = 1 <= lease_id <= _MAX_ID
        lease = await self._leases.get(LeaseRef(tenant_id, lease_id)) if known else None
        if lease is None:
            raise NotFoundError("There is no such rewrap.")
        return lease
