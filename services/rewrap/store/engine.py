"""The lease as its workers move it along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from services.common import audit
from services.common.identity import Call
from services.rewrap.model import (
    RUNNABLE,
    Lane,
    LeaseRef,
    Pace,
    Settled,
    Taken,
    Verdict,
    judge,
    split_lanes,
)
from services.rewrap.store.rows import CHANNEL, one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Connection, Database

_COUNT_TIMEOUT: Final = "120s"
"""For the census: exact over all of a tenant's data keys, about 1 s per million."""
_UNMOVABLE: Final = (
    "Some data keys could not be moved: {failed} are damaged, {left} are left in all."
)


class PostgresLeaseStore:
    """Moves a lease along, for the worker that holds it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, ref: LeaseRef, *, lanes: int, batch: int) -> Taken | None:
        """As the port says."""
        async with self._database.tenant(ref.tenant_id) as connection:
            known = await one(
                connection,
                "select target_version, total from rewrap.lease"
                " where tenant_id = %s and id = %s and finished_at is null",
                (ref.tenant_id, ref.lease_id),
            )
            if known is None:
                return None
            target, total = known
            # Counted before the row is held: nobody who issues a newer lease waits for a count.
            counted = await _stale(connection, ref, target) if total is None else total
            row = await one(
                connection,
                "update rewrap.lease l set fence = l.fence + 1, state = 'running',"
                " started_at = coalesce(l.started_at, clock_timestamp()), next_attempt_at = null,"
                " total = coalesce(l.total, %s)"
                " from (select total from rewrap.lease where tenant_id = %s and id = %s"
                "       for update) before"
                " where l.tenant_id = %s and l.id = %s and l.state = any(%s)"
                " and (l.next_attempt_at is null or l.next_attempt_at <= clock_timestamp())"
                " returning l.fence, l.throttle_per_second, l.attempts, before.total is null",
                (
                    counted,
                    ref.tenant_id,
                    ref.lease_id,
                    ref.tenant_id,
                    ref.lease_id,
                    list(RUNNABLE),
                ),
            )
            if row is None:
                return None
            fence, throttle, attempts, first = row
            if first:
                left = split_lanes(counted, batch, lanes) if counted else []
                await _insert_lanes(connection, ref, left)
            else:
                left = await _unfinished_lanes(connection, ref)
            await connection.execute(
                "update rewrap.lane set fence = %s, held_until = clock_timestamp() + interval '1 hour'"
                " where tenant_id = %s and lease_id = %s",
                (fence, ref.tenant_id, ref.lease_id),
            )
        return Taken(ref, fence, target, throttle, attempts, left)

    async def report(self, ref: LeaseRef, fence: int, rate_per_second: float | None) -> Pace | None:
        """As the port says."""
        row = await self._held(
            ref,
            fence,
            "rate_per_second = %s",
            (rate_per_second,),
        )
        return None if row is None else Pace(row[0])

    async def settle(self, ref: LeaseRef, fence: int, *, lanes: int, batch: int) -> Settled | None:
        """As the port says. The event of the end is in the transaction of the end."""
        async with self._database.tenant(ref.tenant_id) as connection:
            known = await one(
                connection,
                "select target_version, reason from rewrap.lease"
                " where tenant_id = %s and id = %s and fence = %s and state = 'running'",
                (ref.tenant_id, ref.lease_id, fence),
            )
            if known is None:
                return None
            target, reason = known
            # Counted before the row is held. While the lease runs its target is the active version, so
            # what is stale only shrinks: none now is none when the lease ends.
            stale = await _stale(connection, ref, target)
            row = await one(
                connection,
                "select total, done, skipped, failed, passes + 1"
                " from rewrap.lease where tenant_id = %s and id = %s and fence = %s"
                " and state = 'running' for update",
                (ref.tenant_id, ref.lease_id, fence),
            )
            if row is None:
                return None
            total, done, skipped, failed, passes = row
            verdict = judge(stale=stale, failed=failed, passes=passes)
            if verdict is Verdict.AGAIN:
                again = split_lanes(stale, batch, lanes)
                await _restart(connection, ref, again, passes)
                await connection.execute(
                    "update rewrap.lane set fence = %s, held_until = clock_timestamp() + interval"
                    " '1 hour' where tenant_id = %s and lease_id = %s",
                    (fence, ref.tenant_id, ref.lease_id),
                )
                return Settled(verdict, again)
            error = None
            if verdict is Verdict.FAILED:
                error = _UNMOVABLE.format(failed=failed, left=stale)
            await _finish(connection, ref, verdict, error)
            event = audit.Event(
                f"rewrap.{verdict.value}",
                "rewrap_lease",
                str(ref.lease_id),
                {
                    "reason": reason,
                    "target_version": target,
                    "total": total,
                    "done": done,
                    "skipped": skipped,
                    "failed": failed,
                },
            )
            call = Call.of_service("rewrap")
            await audit.append(connection, ref.tenant_id, call, [event])
        return Settled(verdict)

    async def wait(
        self, ref: LeaseRef, fence: int, *, attempts: int, delay_seconds: float, error: str
    ) -> bool:
        """As the port says."""
        row = await self._held(
            ref,
            fence,
            "state = 'waiting', rate_per_second = null, attempts = %s, last_error = %s,"
            " next_attempt_at = clock_timestamp() + make_interval(secs => %s)",
            (attempts, error, delay_seconds),
            announce=True,
        )
        return row is not None

    async def release(self, ref: LeaseRef, fence: int) -> bool:
        """As the port says."""
        row = await self._held(
            ref, fence, "state = 'enqueued', rate_per_second = null", (), announce=True
        )
        return row is not None

    async def _held(
        self,
        ref: LeaseRef,
        fence: int,
        changes: str,
        values: Sequence[object],
        *,
        announce: bool = False,
    ) -> tuple[Any, ...] | None:
        """Change a lease that is held under this fence; its throttle, or None when it is not."""
        async with self._database.tenant(ref.tenant_id) as connection:
            row = await one(
                connection,
                f"update rewrap.lease set {changes}"  # noqa: S608 - constants of this module
                " where tenant_id = %s and id = %s and fence = %s and state = 'running'"
                " returning throttle_per_second",
                (*values, ref.tenant_id, ref.lease_id, fence),
            )
            if row is not None and announce:
                payload = f"{ref.tenant_id}:{ref.lease_id}"
                await connection.execute("select pg_notify(%s, %s)", (CHANNEL, payload))
        return row


async def _stale(connection: Connection, ref: LeaseRef, target_version: int) -> int:
    """How many data keys are still under another version that is not revoked."""
    await connection.execute(
        "select set_config('statement_timeout', %s, true)", (_COUNT_TIMEOUT,), prepare=True
    )
    row = await one(
        connection,
        "select coalesce(sum(data_keys), 0)::bigint from secrets.census(%s)"
        " where key_version <> %s",
        (ref.tenant_id, target_version),
    )
    return int(row[0]) if row else 0


async def _unfinished_lanes(connection: Connection, ref: LeaseRef) -> list[Lane]:
    cursor = await connection.execute(
        "select lane, cursor, until from rewrap.lane"
        " where tenant_id = %s and lease_id = %s and not finished order by lane",
        (ref.tenant_id, ref.lease_id),
        prepare=True,
    )
    return [Lane(*row) for row in await cursor.fetchall()]


async def _insert_lanes(connection: Connection, ref: LeaseRef, lanes: Sequence[Lane]) -> None:
    await connection.execute(
        "insert into rewrap.lane (tenant_id, lease_id, lane, cursor, until)"
        " select %s, %s, l.lane, l.cursor, l.until"
        " from unnest(%s::smallint[], %s::uuid[], %s::uuid[]) as l (lane, cursor, until)",
        (
            ref.tenant_id,
            ref.lease_id,
            [lane.number for lane in lanes],
            [lane.after for lane in lanes],
            [lane.until for lane in lanes],
        ),
    )


async def _restart(
    connection: Connection, ref: LeaseRef, lanes: Sequence[Lane], passes: int
) -> None:
    """New lanes for what is left. What failed will be met again, so it is counted anew."""
    key = (ref.tenant_id, ref.lease_id)
    await connection.execute("delete from rewrap.lane where tenant_id = %s and lease_id = %s", key)
    await _insert_lanes(connection, ref, lanes)
    await connection.execute(
        "update rewrap.lease set passes = %s, failed = 0, failed_ids = '{}'"
        " where tenant_id = %s and id = %s",
        (passes, *key),
    )


async def _finish(
    connection: Connection, ref: LeaseRef, verdict: Verdict, error: str | None
) -> None:
    await connection.execute(
        "update rewrap.lease set state = %s, finished_at = clock_timestamp(), last_error = %s,"
        " rate_per_second = null, next_attempt_at = null where tenant_id = %s and id = %s",
        (verdict.value, error, ref.tenant_id, ref.lease_id),
    )
