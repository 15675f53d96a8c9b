"""Collections on PostgreSQL. Lock order: usage row, collection, its secrets, audit head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

from psycopg.errors import UniqueViolation

from services.common import audit
from services.common.idempotency import store as idempotency_store
from services.secrets.groups import CollectionRow, Refusal, Unfinished
from services.secrets.store.usage import hold_usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import Call
    from services.secrets.groups import CollectionListing, CollectionRequest

# Counted by the index secret_by_collection, whatever else the tenant has.
_ROW: Final = """
select c.id, c.name, c.description,
    (select count(*) from secrets.secret s where s.tenant_id = c.tenant_id
        and s.collection_id = c.id and s.deleted_at is null),
    c.created_at
from secrets.collection c
where c.tenant_id = %(tenant)s
"""
_GET: Final = f"{_ROW} and c.id = %(collection)s"
_COUNT: Final = "select count(*) from secrets.collection c where c.tenant_id = %(tenant)s"
_ORDERS: Final = {"name": 'name collate "C"', "created_at": "created_at"}
_CREATE: Final = """
insert into secrets.collection (tenant_id, id, name, description)
values (%(tenant)s, %(collection)s, %(name)s, %(description)s)
"""
_UPDATE: Final = """
update secrets.collection c set name = %(name)s, description = %(description)s
where c.tenant_id = %(tenant)s and c.id = %(collection)s
"""
_LOCK: Final = """
select c.name, c.description from secrets.collection c
where c.tenant_id = %(tenant)s and c.id = %(collection)s for update
"""
# In no order, which would have all of them sorted each time. Who holds several secrets holds the usage row
# too, or passes over what is held.
_TAKE_OUT: Final = """
with held as materialized (
    select s.id from secrets.secret s
    where s.tenant_id = %(tenant)s and s.collection_id = %(collection)s
    limit %(limit)s for update
)
update secrets.secret s
set collection_id = null, updated_at = date_trunc('milliseconds', clock_timestamp())
from held where s.tenant_id = %(tenant)s and s.id = held.id
returning s.id
"""
_DELETE: Final = """
delete from secrets.collection c where c.tenant_id = %(tenant)s and c.id = %(collection)s
"""
AT_A_TIME: Final = 1000
"""Secrets that one transaction takes out of a collection at most."""
MAX_NAMED: Final = 100
"""Of the secrets that were taken out of a deleted collection, by id, in its event; the others are counted."""


class PostgresCollections:
    """`ports.CollectionStore`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, tenant_id: UUID, listing: CollectionListing
    ) -> tuple[tuple[CollectionRow, ...], int]:
        """As `ports.CollectionStore.list`."""
        direction = "desc" if listing.descending else "asc"
        asked = listing.paging
        order = f"{{0}}.{_ORDERS[listing.sort]} {direction}, {{0}}.id {direction}"
        # Constants of this module and two numbers. One statement, so that rows and total are of one moment;
        # a row of nulls where the page is empty.
        query = f"""
        select ({_COUNT}), shown.* from (select) nothing left join (
            {_ROW} order by {order.format("c")}
            limit {int(asked.per_page)} offset {int(asked.offset)}
        ) shown on true
        order by {order.format("shown")}
        """  # noqa: S608
        async with self._database.tenant(tenant_id) as connection:
            cursor = await connection.execute(
                cast("Any", query), {"tenant": tenant_id}, prepare=False
            )
            found = await cursor.fetchall()
        rows = [CollectionRow(*row[1:]) for row in found if row[1] is not None]
        return tuple(rows), found[0][0]

    async def get(self, tenant_id: UUID, collection_id: UUID) -> CollectionRow | None:
        """As `ports.CollectionStore.get`."""
        async with self._database.tenant(tenant_id) as connection:
            return await _get(connection, tenant_id, collection_id)

    async def create(
        self, tenant_id: UUID, request: CollectionRequest, call: Call
    ) -> CollectionRow | Refusal:
        """As `ports.CollectionStore.create`."""
        collection_id = uuid4()
        parameters = {
            "tenant": tenant_id,
            "collection": collection_id,
            "name": request.name,
            "description": request.description,
        }
        try:
            async with self._database.change(tenant_id) as connection:
                await hold_usage(connection, tenant_id)
                await connection.execute(_CREATE, parameters, prepare=True)
                return await _finish(connection, tenant_id, collection_id, call, "created")
        except UniqueViolation:
            return Refusal.NAME_TAKEN

    async def update(
        self, tenant_id: UUID, collection_id: UUID, members: Mapping[str, str | None], call: Call
    ) -> CollectionRow | Refusal | None:
        """As `ports.CollectionStore.update`."""
        parameters = {"tenant": tenant_id, "collection": collection_id}
        try:
            async with self._database.change(tenant_id) as connection:
                await hold_usage(connection, tenant_id)
                row = await (await connection.execute(_LOCK, parameters)).fetchone()
                if row is None:
                    return None
                stored = {"name": row[0], "description": row[1]}
                await connection.execute(_UPDATE, parameters | stored | dict(members))
                details: dict[str, object] = {"changed": sorted(members)}
                if "name" in members and members["name"] != row[0]:
                    details["renamed_from"] = row[0]
                return await _finish(
                    connection, tenant_id, collection_id, call, "updated", details=details
                )
        except UniqueViolation:
            return Refusal.NAME_TAKEN

    async def delete(self, tenant_id: UUID, collection_id: UUID, call: Call) -> bool | Unfinished:
        """As `ports.CollectionStore.delete`."""
        parameters = {"tenant": tenant_id, "collection": collection_id}
        async with self._database.change(tenant_id) as connection:
            await hold_usage(connection, tenant_id)
            row = await (await connection.execute(_LOCK, parameters)).fetchone()
            if row is None:
                return False
            cursor = await connection.execute(_TAKE_OUT, parameters | {"limit": AT_A_TIME})
            taken_out = sorted([str(secret_id) async for (secret_id,) in cursor])
            details = {
                "name": row[0],
                "secrets": len(taken_out),
                "secret_ids": taken_out[:MAX_NAMED],
            }
            done = "secrets_taken_out"
            if is_last := len(taken_out) < AT_A_TIME:
                done = "deleted"
                await connection.execute(_DELETE, parameters)
                await idempotency_store.complete(connection, "secrets", tenant_id, [(call, None)])
            event = audit.Event(f"collection.{done}", "collection", str(collection_id), details)
            await audit.append(connection, tenant_id, call, [event])
        return True if is_last else Unfinished()


async def _get(
    connection: Connection, tenant_id: UUID, collection_id: UUID
) -> CollectionRow | None:
    parameters = {"tenant": tenant_id, "collection": collection_id}
    row = await (await connection.execute(_GET, parameters, prepare=True)).fetchone()
    return None if row is None else CollectionRow(*row)


async def _finish(
    connection: Connection,
    tenant_id: UUID,
    collection_id: UUID,
    call: Call,
    done: str,
    *,
    details: Mapping[str, object] | None = None,
) -> CollectionRow:
    """The row as it is now, kept for the call's idempotency key, and the event."""
    row = await _get(connection, tenant_id, collection_id)
    assert row is not None
    await idempotency_store.complete(connection, "secrets", tenant_id, [(call, row)])
    shown = {"name": row.name, **(details or {})}
    event = audit.Event(f"collection.{done}", "collection", str(collection_id), shown)
    await audit.append(connection, tenant_id, call, [event])
    return row
