"""A tenant's leases, as they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.rewrap.model import Lease, LeasePage
from services.rewrap.store.rows import one

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Database
    from services.rewrap.model import LeaseRef

# A rate is shown only while its worker is at work: a dead one's last word is no rate.
COLUMNS: Final = """
    id, state, reason, target_version, total, done, skipped, failed,
    case when state = 'running' and progressed_at > clock_timestamp() - interval '10 seconds'
         then rate_per_second end,
    throttle_per_second, created_at, started_at, finished_at, last_error,
    verified, to_verify, verifying_since is not null
"""
"""The members of `Lease`, in its order."""
ONE: Final = f"select {COLUMNS} from rewrap.lease where tenant_id = %s and id = %s"  # noqa: S608
_COUNT: Final = """
select count(*) from rewrap.lease where tenant_id = %s and (%s::text is null or state = %s)
"""
_PAGE: Final = f"""
select {COLUMNS} from rewrap.lease where tenant_id = %s and (%s::text is null or state = %s)
order by id desc limit %s offset %s
"""  # noqa: S608 - constants


class PostgresLeaseReader:
    """Reads a tenant's leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, tenant_id: UUID, state: str | None, *, offset: int, limit: int
    ) -> LeasePage:
        """As the port says."""
        async with self._database.looking(tenant_id) as connection:
            total = await one(connection, _COUNT, (tenant_id, state, state))
            cursor = await connection.execute(
                _PAGE.encode(), (tenant_id, state, state, limit, offset), prepare=True
            )
            rows = await cursor.fetchall()
        return LeasePage([Lease(*row) for row in rows], total[0] if total else 0)

    async def get(self, ref: LeaseRef) -> Lease | None:
        """As the port says."""
        async with self._database.tenant(ref.tenant_id) as connection:
            row = await one(connection, ONE, (ref.tenant_id, ref.lease_id))
        return None if row is None else Lease(*row)
