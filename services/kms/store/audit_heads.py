"""Heads of audit chains, to be signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.audit_chain import Head

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from services.common.database import Database

_READ: Final = """
    select h.seq, h.hash, clock_timestamp() from (values (%(tenant)s::uuid)) t (id)
    left join audit.head h on h.tenant_id = t.id
    where exists (select from tenancy.tenant(t.id))
"""


class AuditHeadStore:
    """Implements HeadStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, tenant_id: UUID) -> tuple[Head, datetime] | None:
        """See HeadStore."""
        async with self._database.tenant(tenant_id) as connection:
            cursor = await connection.execute(_READ, {"tenant": tenant_id}, prepare=True)
            row = await cursor.fetchone()
        if row is None:
            return None
        seq, digest, now = row
        return (Head() if seq is None else Head(seq, digest)), now
