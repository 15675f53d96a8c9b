"""The tenant and its counts on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.secrets.tenancy.model import Account, Counts

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from services.common.database import Database

_ACCOUNT: Final = """
select t.tenant_id, t.slug, t.name, t.region, t.plan, t.status, t.created_at
from tenancy.tenant(%(tenant)s) t
"""
# The default environment is made at the tenant's first use of one: it is there as far as anybody can tell.
_COUNTS: Final = """
select t.plan, t.status,
    coalesce((select u.calls from tenancy.api_usage u
        where u.tenant_id = %(tenant)s and u.month = %(month)s), 0),
    coalesce((select u.live_secrets from secrets.usage u where u.tenant_id = %(tenant)s), 0),
    t.max_secrets,
    greatest((select count(*) from secrets.environment e where e.tenant_id = %(tenant)s), 1),
    (select count(*) from secrets.collection c where c.tenant_id = %(tenant)s)
from tenancy.tenant(%(tenant)s) t
"""


class PostgresAccounts:
    """`tenancy.ports.Accounts`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant_id: UUID) -> Account | None:
        """As `ports.Accounts.get`."""
        async with self._database.tenant(tenant_id) as connection:
            cursor = await connection.execute(_ACCOUNT, {"tenant": tenant_id}, prepare=True)
            row = await cursor.fetchone()
        return None if row is None else Account(*row)

    async def counts(self, tenant_id: UUID, month: date) -> Counts | None:
        """As `ports.Accounts.counts`."""
        parameters = {"tenant": tenant_id, "month": month}
        async with self._database.tenant(tenant_id) as connection:
            row = await (await connection.execute(_COUNTS, parameters, prepare=True)).fetchone()
        return None if row is None else Counts(*row)
