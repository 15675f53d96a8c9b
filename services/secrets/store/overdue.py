"""Deleted secrets whose time is up: found across tenants, removed tenant by tenant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.common import audit
from services.secrets.listing import RESTORABLE_DAYS
from services.secrets.overdue import OverdueSecret, Purged
from services.secrets.store.purges import purge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Connection, Database
    from services.common.identity import Call

MAX_VERSIONS: Final = 2000
"""Value versions that one transaction removes at most, unless the first secret alone has more."""
_NO_ID: Final = UUID(int=0)
_FROM_THE_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)

_FIND: Final = f"""
select s.tenant_id, s.id, s.deleted_at from secrets.secret s
where s.deleted_at <= now() - interval '{RESTORABLE_DAYS} days'
  and (s.deleted_at, s.tenant_id, s.id) > (%s, %s, %s)
order by s.deleted_at, s.tenant_id, s.id limit %s
"""  # noqa: S608 - a constant
_TAKE: Final = f"""
select s.id, (select count(*) from secrets.value_version v
    where v.tenant_id = s.tenant_id and v.secret_id = s.id)
from secrets.secret s
where s.tenant_id = %(tenant)b and s.id = any (%(secrets)b::uuid[])
  and s.deleted_at <= now() - interval '{RESTORABLE_DAYS} days'
order by s.id for update of s skip locked
"""  # noqa: S608 - a constant


class PostgresOverdue:
    """`ports.Overdue`, under the login role coffer_secrets_purge, which sees nothing else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, after: OverdueSecret | None, limit: int) -> list[OverdueSecret]:
        """As `ports.Overdue.find`."""
        last = after or OverdueSecret(_NO_ID, _NO_ID, _FROM_THE_BEGINNING)
        parameters = (last.deleted_at, last.tenant_id, last.id, limit)
        return [OverdueSecret(*row) for row in await self._database.rows(_FIND, parameters)]


class PostgresPurges:
    """`ports.Purges`: each call is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def purge(self, tenant_id: UUID, secret_ids: Sequence[UUID], call: Call) -> Purged:
        """As `ports.Purges.purge`."""
        async with self._database.tenant(tenant_id) as connection:
            taken = await _take(connection, tenant_id, secret_ids)
            chosen = _fitting(taken)
            events = await purge(connection, tenant_id, chosen)
            if events:
                await audit.append(connection, tenant_id, call, events)
        return Purged(len(events), tuple(secret for secret, _ in taken[len(chosen) :]))


async def _take(
    connection: Connection, tenant_id: UUID, secret_ids: Sequence[UUID]
) -> list[tuple[UUID, int]]:
    """Those that are overdue and nobody else has in hand, with the numbers of their versions."""
    parameters = {"tenant": tenant_id, "secrets": list(secret_ids)}
    cursor = await connection.execute(_TAKE, parameters, prepare=True)
    return [(secret, count) async for secret, count in cursor]


def _fitting(taken: Sequence[tuple[UUID, int]]) -> list[UUID]:
    chosen: list[UUID] = []
    versions = 0
    for secret, count in taken:
        versions += count
        if chosen and versions > MAX_VERSIONS:
            break
        chosen.append(secret)
    return chosen
