"""Wrapped data keys as a rewrap moves them: by primary key, in arrays, only where unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

import psycopg

from services.common.database import LEASE_REFUSED
from services.secrets.leases import LeaseRefusedError, RewrapOutcome, StaleKeys
from services.secrets.store.damage import DamageError, before_damage, damage_told, next_id
from services.secrets.store.key_ring import hold_active

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Connection, Database
    from services.secrets.leases import Moved, RewrapOrder

_BEFORE_ANY: Final = UUID(int=0)
"""Lower than every random UUID."""

LOOKED_AT: Final = 20_000
"""Data keys that one search looks at: about 20 ms of work, however few of them are stale."""

# The versions are asked for once (a scalar subquery), not for every row. The search ends with the last key
# that is wanted; where the window ends matters, and is looked for, only when it held fewer.
_STALE: Final = """
with stale as (
    select count(*) as found, string_agg(uuid_send(id) || wrapped, ''::bytea order by id) as packed
    from (
        select id, wrapped from (
            select id, wrapped, key_version from secrets.data_key
            where tenant_id = %(tenant)b and id > %(after)b and id <= %(until)b
            order by id limit %(window)b::bigint
        ) looked
        where key_version = any ((select kms.retired_versions(%(tenant)b))::bigint[])
        order by id limit %(limit)b::bigint
    ) wanted
)
select packed, case when found < %(limit)b::bigint then (
    select id from secrets.data_key
    where tenant_id = %(tenant)b and id > %(after)b and id <= %(until)b
    order by id offset %(window)b::bigint - 1 limit 1
) end from stale
"""
_KEY: Final = """
select key_version, wrapped from secrets.data_key where tenant_id = %(tenant)b and id = %(id)b
"""
# The version read may have been erased since: what hung on it is lost then, and must not come back under
# the active one. The ring is held, so the versions seen here stay as they are until the commit.
# The records are those of one part of the primary key, in its order: so that part is walked, as the search
# for them walked it, and each row finds its record by bisection. No join: the one plan for all tenants takes
# each for one of average size, and would walk all rows of a big one for every record.
_SWAP: Final = """
with taken as materialized (
    select array_agg(encode(substring(%(old)b::bytea from i * 84 + 1 for 16), 'hex')::uuid order by i)
        as ids
    from generate_series(0, length(%(fresh)b::bytea) / 68 - 1) i
)
update secrets.data_key set key_version = %(version)b::bigint, wrapped = substring(%(fresh)b::bytea
    from width_bucket(id, (select ids from taken)) * 68 - 67 for 68)
where tenant_id = %(tenant)b and id between %(first)b and %(last)b
  and key_version = any ((select kms.retired_versions(%(tenant)b))::bigint[])
  and substring(%(old)b::bytea from width_bucket(id, (select ids from taken)) * 84 - 83 for 84)
    = uuid_send(id) || wrapped
"""
_RECORD: Final = """
select rewrap.record_batch(%(tenant)b, %(lease)b::bigint, %(fence)b::bigint, %(lane)b::smallint,
    %(after)t::uuid, %(cursor)b, %(finished)b, %(done)b::bigint, %(skipped)b::bigint,
    %(failed)t::uuid[], %(kms_calls)b::bigint)
"""


class PostgresStaleKeys:
    """`ports.WorkList`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database, *, looked_at: int = LOOKED_AT) -> None:
        self._database = database
        self._looked_at = looked_at

    async def stale(self, order: RewrapOrder) -> StaleKeys:
        """As `ports.WorkList.stale`. Raises DamageError where what cannot be read cannot be named either."""
        window = max(self._looked_at, order.limit)
        try:
            return await self._stale(order, window)
        except DamageError as error:
            return await self._before_damage(order, window, error)

    async def _stale(self, order: RewrapOrder, window: int) -> StaleKeys:
        parameters = {
            "tenant": order.tenant_id,
            "after": order.after or _BEFORE_ANY,
            "until": order.until,
            "limit": order.limit,
            "window": window,
        }
        async with self._database.tenant(order.tenant_id) as connection:
            cursor = connection.cursor(binary=True)
            with damage_told():
                await cursor.execute(_STALE, parameters, prepare=True)
            row = await cursor.fetchone()
        assert row is not None  # an aggregate has one row
        packed, end_of_window = row[0] or b"", row[1]
        found = StaleKeys(packed, end_of_window or order.until, finished=end_of_window is None)
        if len(found) < order.limit:
            return found
        return StaleKeys(packed, found.id(order.limit - 1), finished=False)

    async def _before_damage(
        self, order: RewrapOrder, window: int, error: DamageError
    ) -> StaleKeys:
        """What comes before the first row that cannot be read, and the id of that one."""
        start = order.after or _BEFORE_ANY
        found = await before_damage(lambda rows: self._stale(order, rows), window)
        if found is not None and (found.finished or len(found) == order.limit):
            return found
        packed, cursor = (found.packed, found.cursor) if found else (b"", start)
        key_id = await next_id(self._database, order.tenant_id, cursor, order.until)
        if key_id is None:
            return StaleKeys(packed, order.until, finished=True)
        if not await self._is_readable(order.tenant_id, key_id):
            return StaleKeys(packed, key_id, finished=False, unreadable=key_id)
        # What could not be read is no key: between the cursor and this one there is none.
        before = UUID(int=key_id.int - 1)
        if before <= start:
            raise error
        return StaleKeys(packed, before, finished=False)

    async def _is_readable(self, tenant_id: UUID, key_id: UUID) -> bool:
        parameters = {"tenant": tenant_id, "id": key_id}
        try:
            async with self._database.tenant(tenant_id) as connection:
                with damage_told():
                    await connection.execute(_KEY, parameters)
        except DamageError:
            return False
        return True

    async def swap(
        self,
        order: RewrapOrder,
        moved: Moved,
        *,
        passed_over: int,
        failed: Sequence[UUID],
        cursor: UUID,
        finished: bool,
        kms_calls: int = 0,
    ) -> RewrapOutcome:
        """As `ports.WorkList.swap`."""
        async with self._database.tenant(order.tenant_id) as connection:
            await hold_active(connection, order.tenant_id, order.target_version)
            done = await _swap(connection, order, moved) if moved else 0
            outcome = RewrapOutcome(
                done=done,
                skipped=len(moved) - done + passed_over,
                failed=len(failed),
                cursor=cursor,
                lane_finished=finished,
            )
            await _record(connection, order, outcome, failed, kms_calls)
        return outcome


async def _swap(connection: Connection, order: RewrapOrder, moved: Moved) -> int:
    parameters = {
        "tenant": order.tenant_id,
        "version": order.target_version,
        "first": moved.id(0),
        "last": moved.id(-1),
        "old": moved.old,
        "fresh": moved.new,
    }
    cursor = await connection.execute(_SWAP, parameters, prepare=True)
    return cursor.rowcount


async def _record(
    connection: Connection,
    order: RewrapOrder,
    outcome: RewrapOutcome,
    failed: Sequence[UUID],
    kms_calls: int,
) -> None:
    parameters = {
        "tenant": order.tenant_id,
        "lease": order.lease_id,
        "fence": order.fence,
        "lane": order.lane,
        "after": order.after,
        "cursor": outcome.cursor,
        "finished": outcome.lane_finished,
        "done": outcome.done,
        "skipped": outcome.skipped,
        "failed": list(failed),
        "kms_calls": kms_calls,
    }
    try:
        await connection.execute(_RECORD, parameters, prepare=True)
    except psycopg.Error as error:
        if error.sqlstate == LEASE_REFUSED:
            raise LeaseRefusedError from None
        raise
