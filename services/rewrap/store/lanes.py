"""The lanes of a lease: who holds them, and how they are made. The lease's row is locked by the caller.

A lane is free when nobody renewed its hold in time, and also when its hold ends later than any hold ever can:
then the database's clock went back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.rewrap.model import Claimed, Hold, Lane
from services.rewrap.store.rows import one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Connection
    from services.rewrap.model import LeaseRef

_FREE: Final = """
(held_until is null or held_until <= clock_timestamp()
    or held_until > clock_timestamp() + make_interval(secs => %(hold)s) * 2)
"""
# Lanes that failed so often at one cursor that even a single key did come last: they keep no other waiting.
WORN: Final = 12
_CLAIM: Final = f"""
with free as (
    select lane from rewrap.lane
    where tenant_id = %(tenant)s and lease_id = %(lease)s and not finished and {_FREE}
    order by troubles > {WORN}, lane limit %(wanted)s for update skip locked
)
update rewrap.lane n set fence = %(fence)s,
    held_until = clock_timestamp() + make_interval(secs => %(hold)s)
from free where n.tenant_id = %(tenant)s and n.lease_id = %(lease)s and n.lane = free.lane
returning n.lane, n.cursor, n.until, n.kind, n.quota, n.fence, n.troubles
"""  # noqa: S608 - a constant
_COUNT: Final = f"""
select count(*), count(*) filter (where {_FREE}) from rewrap.lane
where tenant_id = %(tenant)s and lease_id = %(lease)s and not finished
"""  # noqa: S608 - a constant
_RENEW: Final = """
update rewrap.lane n set held_until = clock_timestamp() + make_interval(secs => %(hold)s)
from unnest(%(lanes)s::smallint[], %(fences)s::bigint[]) as h (lane, fence)
where n.tenant_id = %(tenant)s and n.lease_id = %(lease)s and n.lane = h.lane and n.fence = h.fence
  and n.held_until > clock_timestamp()
returning n.lane, n.fence
"""
# A lane that ended while it was held counts: who ended it in time is nobody who slept.
_DROP: Final = """
update rewrap.lane n set held_until = null
from unnest(%(lanes)s::smallint[], %(fences)s::bigint[]) as h (lane, fence)
where n.tenant_id = %(tenant)s and n.lease_id = %(lease)s and n.lane = h.lane and n.fence = h.fence
  and n.held_until > clock_timestamp()
"""
_FREE_ALL: Final = """
update rewrap.lane set held_until = null
where tenant_id = %s and lease_id = %s and held_until is not null and not finished
"""
_TROUBLE: Final = """
update rewrap.lane set troubles = troubles + 1
where tenant_id = %s and lease_id = %s and lane = %s and fence = %s and not finished
  and held_until > clock_timestamp()
returning troubles
"""
_GIVE_UP: Final = "select rewrap.give_up_lane(%s, %s, %s, %s::smallint)"
_REMOVE: Final = "delete from rewrap.lane where tenant_id = %s and lease_id = %s"
_INSERT: Final = """
insert into rewrap.lane (tenant_id, lease_id, lane, cursor, until, kind, quota)
select %s, %s, l.lane, l.cursor, l.until, l.kind, l.quota
from unnest(%s::smallint[], %s::uuid[], %s::uuid[], %s::text[], %s::bigint[])
    as l (lane, cursor, until, kind, quota)
"""
_LEFT: Final = "update rewrap.lease set lanes_left = %s where tenant_id = %s and id = %s"


class Lanes:
    """The lanes of one lease, within a transaction of the caller."""

    def __init__(self, connection: Connection, ref: LeaseRef, hold_seconds: float) -> None:
        self._connection = connection
        self._key = (ref.tenant_id, ref.lease_id)
        self._named = {"tenant": ref.tenant_id, "lease": ref.lease_id, "hold": hold_seconds}

    async def claim(self, wanted: int, fence: int) -> list[Claimed]:
        """Up to `wanted` free ones, held under `fence` from now on."""
        named = {**self._named, "wanted": wanted, "fence": fence}
        cursor = await self._connection.execute(_CLAIM, named, prepare=True)
        rows = sorted(await cursor.fetchall())
        return [Claimed(Lane(*row[:5]), row[5], row[6]) for row in rows]

    async def count(self) -> tuple[int, int]:
        """How many are unfinished, and how many of those are free."""
        row = await one(self._connection, _COUNT, self._named)
        return (row[0], row[1]) if row else (0, 0)

    async def renew(self, holds: Sequence[Hold]) -> frozenset[Hold]:
        """Hold on to these; returns those that still were held."""
        cursor = await self._connection.execute(_RENEW, self._with(holds), prepare=True)
        return frozenset(Hold(*row) for row in await cursor.fetchall())

    async def drop(self, holds: Sequence[Hold]) -> int:
        """Hold these no longer; returns how many were held yet."""
        if not holds:
            return 0
        cursor = await self._connection.execute(_DROP, self._with(holds), prepare=True)
        return cursor.rowcount

    async def free_all(self) -> None:
        """Nobody holds any of them: what was under way under an older fence is refused from now on."""
        await self._connection.execute(_FREE_ALL, self._key, prepare=True)

    async def trouble(self, hold: Hold) -> int | None:
        """Count a failure at the lane's cursor; how many there were. None when it is not held so."""
        row = await one(self._connection, _TROUBLE, (*self._key, hold.lane, hold.fence))
        return None if row is None else int(row[0])

    async def give_up(self, hold: Hold) -> bool:
        """End the lane as it is. False when it is not held so, or nothing failed at its cursor."""
        row = await one(self._connection, _GIVE_UP, (*self._key, hold.fence, hold.lane))
        return row is not None and bool(row[0])

    async def replace(self, lanes: Sequence[Lane]) -> None:
        """These, and no others."""
        await self._connection.execute(_REMOVE, self._key, prepare=True)
        values = (
            [lane.number for lane in lanes],
            [lane.after for lane in lanes],
            [lane.until for lane in lanes],
            [lane.kind for lane in lanes],
            [lane.quota for lane in lanes],
        )
        await self._connection.execute(_INSERT, (*self._key, *values))
        await self._connection.execute(_LEFT, (len(lanes), *self._key), prepare=True)

    def _with(self, holds: Sequence[Hold]) -> dict[str, object]:
        return {
            **self._named,
            "lanes": [hold.lane for hold in holds],
            "fences": [hold.fence for hold in holds],
        }
