"""Deleted secrets whose time is up: found across tenants, removed tenant by tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.common import audit
from services.secrets.listing import RESTORABLE_DAYS
from services.secrets.overdue import OverdueSecret, Purged
from services.secrets.store.erasing import MAX_VERSIONS, erase_oldest, history_erased
from services.secrets.store.purges import purge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Connection, Database
    from services.common.identity import Call

_NO_ID: Final = UUID(int=0)
_FROM_THE_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)

_FIND: Final = f"""
select s.tenant_id, s.id, s.deleted_at from secrets.secret s
where s.deleted_at <= now() - interval '{RESTORABLE_DAYS} days'
  and (s.deleted_at, s.tenant_id, s.id) > (%s, %s, %s)
order by s.deleted_at, s.tenant_id, s.id limit %s
"""  # noqa: S608 - a constant
_TAKE: Final = f"""
select s.id, s.name, (select count(*) from (
    select from secrets.value_version v
    where v.tenant_id = s.tenant_id and v.secret_id = s.id limit %(versions)b::bigint + 1) counted)
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
            if taken and not chosen:
                return await _begin(connection, tenant_id, taken, call)
            events = await purge(connection, tenant_id, [secret.id for secret in chosen])
            if events:
                await audit.append(connection, tenant_id, call, events)
        return Purged(len(events), tuple([secret.id for secret in taken[len(chosen) :]]))


@dataclass(frozen=True, slots=True)
class _Taken:
    """One that is held; `versions` are counted up to the limit."""

    id: UUID
    name: str
    versions: int


async def _begin(
    connection: Connection, tenant_id: UUID, taken: Sequence[_Taken], call: Call
) -> Purged:
    """Erase some versions of the first one, which has too many for one transaction."""
    first = taken[0]
    gone = await erase_oldest(connection, tenant_id, first.id, None, MAX_VERSIONS)
    await audit.append(connection, tenant_id, call, [history_erased(first.id, first.name, gone)])
    return Purged(0, tuple([secret.id for secret in taken]))


async def _take(
    connection: Connection, tenant_id: UUID, secret_ids: Sequence[UUID]
) -> list[_Taken]:
    """Those that are overdue and nobody else has in hand; those with few versions first."""
    parameters = {"tenant": tenant_id, "secrets": list(secret_ids), "versions": MAX_VERSIONS}
    cursor = await connection.execute(_TAKE, parameters, prepare=True)
    return sorted([_Taken(*row) async for row in cursor], key=lambda taken: taken.versions)


def _fitting(taken: Sequence[_Taken]) -> Sequence[_Taken]:
    versions = 0
    for number, secret in enumerate(taken):
        versions += secret.versions
        if versions > MAX_VERSIONS:
            return taken[:number]
    return taken
