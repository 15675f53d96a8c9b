"""Audit events as they are read. Every statement walks an index, however many events the tenant has.

Unfiltered, numbers alone find a page: they have no gap. A filter picks kinds (an action and a resource type),
of which there are as many as the code knows; the index `event_kind` leads from one kind to the next, and each
kind's list is in order, so that only as much of each is read as could be needed. Exact all the same: kinds
and events are read in one statement, so of one moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from services.common.audit_chain import COLUMNS, ENDS, StoredEvent, ends_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.audit_chain import Ends
    from services.common.database import Connection, Database
    from services.secrets.audit_logs import Filters
    from services.secrets.paging import Paging

# A limit as a parameter would be planned for a tenth of the table, so limits are part of the text: numbers,
# as all that is formatted here. What a client sent is in the parameters.
_EVENTS: Final = f"select {COLUMNS} from audit.event where tenant_id = %(tenant)s"  # noqa: S608
_HEAD: Final = "select seq from audit.head where tenant_id = %(tenant)s"
_PAGE: Final = f"{_EVENTS} and seq > %(low)s and seq <= %(high)s order by seq desc"
_STRETCH: Final = f"{_EVENTS} and seq >= %(first)s and seq <= %(until)s order by seq"

_ORDER: Final = 'e.action collate "C", e.resource_type collate "C"'
_NEXT_KIND: Final = f"""
select e.action, e.resource_type from audit.event e where e.tenant_id = %(tenant)s {{beyond}}
order by {_ORDER} limit 1
"""  # noqa: S608
_BEYOND: Final = f"and ({_ORDER}) > (k.action, k.resource_type)"
_KINDS: Final = f"""
with recursive kind as (
    ({_NEXT_KIND.format(beyond="")})
    union all
    select n.action, n.resource_type from kind k
    cross join lateral ({_NEXT_KIND.format(beyond=_BEYOND)}) n
), wanted as materialized (
    select k.action, k.resource_type from kind k
    where (%(action)s::text is null or k.action = %(action)s::text)
      and (%(action_prefix)s::text is null or starts_with(k.action, %(action_prefix)s::text))
      and (%(resource_type)s::text is null or k.resource_type = %(resource_type)s::text)
)
"""  # noqa: S608
_OF_KIND: Final = """
from audit.event e where e.tenant_id = %(tenant)s
    and e.action collate "C" = w.action and e.resource_type collate "C" = w.resource_type
"""
_COUNT_KINDS: Final = f"""
{_KINDS} select coalesce(sum(n.events), 0)::bigint from wanted w
cross join lateral (select count(*) as events {_OF_KIND}) n
"""  # noqa: S608
_columns = ", ".join(f"e.{name}" for name in COLUMNS.split(", "))
_MERGED: Final = f"""
{_KINDS}, found as materialized (
    select f.seq from wanted w
    cross join lateral (
        select e.seq {_OF_KIND} {{among}} order by e.seq {{direction}} limit {{most}}
    ) f
    order by f.seq {{direction}} limit {{limit}} offset {{offset}}
)
select {_columns} from found join audit.event e on e.tenant_id = %(tenant)s and e.seq = found.seq
order by e.seq {{direction}}
"""  # noqa: S608


class PostgresAuditLogs:
    """`audit_logs.AuditStore`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, tenant_id: UUID, filters: Filters, page: Paging
    ) -> tuple[int, Sequence[StoredEvent]]:
        """As `AuditStore.page`."""
        async with self._database.tenant(tenant_id) as connection:
            if filters:
                return await _filtered_page(connection, tenant_id, filters, page)
            total = await _number(connection, _HEAD, {"tenant": tenant_id})
            high = total - page.offset
            if high <= 0:
                return total, ()
            bounds = {"tenant": tenant_id, "low": high - page.per_page, "high": high}
            return total, await _events(connection, _PAGE, bounds, prepare=True)

    async def following(
        self, tenant_id: UUID, filters: Filters, after: int, limit: int
    ) -> Sequence[StoredEvent]:
        """As `AuditStore.following`."""
        parameters = _parameters(tenant_id, filters) | {"after": after}
        query = f"{_EVENTS} and seq > %(after)s order by seq limit {int(limit)}"
        if filters:
            query = _MERGED.format(
                among="and e.seq > %(after)s", direction="asc", most=limit, limit=limit, offset=0
            )
        async with self._database.tenant(tenant_id) as connection:
            return await _events(connection, query, parameters)

    async def ends(self, tenant_id: UUID, first: int) -> Ends:
        """As `AuditStore.ends`."""
        parameters = {"tenant": tenant_id, "before": first - 1}
        async with self._database.tenant(tenant_id) as connection:
            cursor = await connection.execute(ENDS, parameters, prepare=True)
            return ends_of(await cursor.fetchone(), first)

    async def stretch(
        self, tenant_id: UUID, first: int, until: int, limit: int
    ) -> Sequence[StoredEvent]:
        """As `AuditStore.stretch`."""
        parameters = {"tenant": tenant_id, "first": first, "until": min(until, first + limit - 1)}
        async with self._database.tenant(tenant_id) as connection:
            return await _events(connection, _STRETCH, parameters, prepare=True)


async def _filtered_page(
    connection: Connection, tenant_id: UUID, filters: Filters, page: Paging
) -> tuple[int, Sequence[StoredEvent]]:
    parameters = _parameters(tenant_id, filters)
    total = await _number(connection, _COUNT_KINDS, parameters)
    if page.offset >= total:
        return total, ()
    query = _MERGED.format(
        among="",
        direction="desc",
        most=int(page.offset + page.per_page),
        limit=int(page.per_page),
        offset=int(page.offset),
    )
    return total, await _events(connection, query, parameters)


def _parameters(tenant_id: UUID, filters: Filters) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "action": filters.action,
        "action_prefix": filters.action_prefix,
        "resource_type": filters.resource_type,
    }


async def _number(connection: Connection, query: str, parameters: dict[str, Any]) -> int:
    row = await (await connection.execute(cast("Any", query), parameters)).fetchone()
    return int(row[0]) if row else 0


async def _events(
    connection: Connection, query: str, parameters: dict[str, Any], *, prepare: bool = False
) -> list[StoredEvent]:
    cursor = await connection.execute(cast("Any", query), parameters, prepare=prepare)
    return [StoredEvent(*row) for row in await cursor.fetchall()]
