"""Leases, as an administrator steers them.

Lock order: key ring (to start one), starts of this tenant, lease, its lanes, audit head. Who works on a lease
writes its row first too, so a step and a batch never overlap: the batch is counted before the step or refused
after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from services.common import audit
from services.common.idempotency import store as idempotency_store
from services.rewrap.model import Lease, LeaseRef
from services.rewrap.steering import LIVE, NoKey, Running, Standing
from services.rewrap.store.reader import ONE
from services.rewrap.store.rows import announce, one

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import Call
    from services.rewrap.steering import Step

_ACTIVE: Final = "select kms.hold_active_version(%s)"
# All who start one hold the ring, and hold it shared: only one of them looks for a live lease at a time.
_STARTING: Final = """
select pg_advisory_xact_lock(hashtextextended('rewrap start ' || %s::text, 0))
"""
_LIVE_ONE: Final = """
select id, state from rewrap.lease where tenant_id = %s and finished_at is null
order by id desc limit 1
"""
_ISSUE: Final = "select rewrap.issue_lease(%s, %s, 'manual')"
_HOLD: Final = """
select state, throttle_per_second from rewrap.lease where tenant_id = %s and id = %s for update
"""
# The fence and the lanes' holds: nobody who worked on it before may go on under what follows.
_STEP: Final = """
update rewrap.lease set state = %s, fence = fence + 1, attempts = 0, next_attempt_at = null,
    rate_per_second = null, finished_at = case when %s then clock_timestamp() end
where tenant_id = %s and id = %s
"""
_LET_GO: Final = """
update rewrap.lane set held_until = null
where tenant_id = %s and lease_id = %s and held_until is not null and not finished
"""
_BESIDES: Final = "select verified, kms_calls from rewrap.lease where tenant_id = %s and id = %s"
# Where there was a throttle, whoever works on it asks the row before each batch; where there was none, it
# learns of it with its next report, and goes on unbounded until then. What was not used under another
# throttle is not caught up under this one.
_THROTTLE: Final = """
update rewrap.lease set throttle_per_second = %s,
    throttle_free_at = greatest(throttle_free_at, clock_timestamp())
where tenant_id = %s and id = %s
"""


class PostgresSteering:
    """`steering.SteeringStore`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(
        self, tenant_id: UUID, throttle: int | None, call: Call
    ) -> Lease | Running | NoKey:
        """As `SteeringStore.start`."""
        async with self._database.change(tenant_id) as connection:
            version = await _value(connection, _ACTIVE, tenant_id)
            if version is None:
                return NoKey()
            await _value(connection, _STARTING, tenant_id)
            live = await one(connection, _LIVE_ONE, (tenant_id,))
            if live is not None:
                return Running(*live)
            ref = LeaseRef(tenant_id, await _value(connection, _ISSUE, tenant_id, version))
            if throttle is not None:
                await _set_throttle(connection, ref, throttle)
            return await _finish(connection, ref, call, "rewrap.requested", _bound(throttle))

    async def step(self, ref: LeaseRef, step: Step, call: Call) -> Lease | Standing | None:
        """As `SteeringStore.step`."""
        async with self._database.change(ref.tenant_id) as connection:
            held = await _hold(connection, ref)
            if held is None:
                return None
            state, _ = held
            if state not in step.allowed:
                return Standing(state)
            key = (ref.tenant_id, ref.lease_id)
            await connection.execute(_STEP, (step.state, step.ends, *key), prepare=True)
            await connection.execute(_LET_GO, key, prepare=True)
            await announce(connection, ref)
            details = {"previous_state": state} | await _besides(connection, ref, step)
            return await _finish(connection, ref, call, step.event, details)

    async def throttle(
        self, ref: LeaseRef, per_second: int | None, call: Call
    ) -> Lease | Standing | None:
        """As `SteeringStore.throttle`."""
        async with self._database.change(ref.tenant_id) as connection:
            held = await _hold(connection, ref)
            if held is None:
                return None
            state, before = held
            if state not in LIVE:
                return Standing(state)
            if before == per_second:
                lease = await _shown(connection, ref)
                await _complete(connection, ref, call, lease)
                return lease
            await _set_throttle(connection, ref, per_second)
            details = _bound(per_second) | {"previous_throttle_per_second": before}
            return await _finish(connection, ref, call, "rewrap.throttled", details)


async def _finish(
    connection: Connection, ref: LeaseRef, call: Call, action: str, details: Mapping[str, object]
) -> Lease:
    """The lease as it is now, kept for the call's idempotency key, and the event."""
    lease = await _shown(connection, ref)
    facts = {
        "reason": lease.reason,
        "target_version": lease.target_version,
        "total": lease.total,
        "done": lease.done,
        "skipped": lease.skipped,
        "failed": lease.failed,
    }
    event = audit.Event(action, "rewrap_lease", str(ref.lease_id), facts | dict(details))
    await _complete(connection, ref, call, lease)
    await audit.append(connection, ref.tenant_id, call, [event])
    return lease


async def _complete(connection: Connection, ref: LeaseRef, call: Call, lease: Lease) -> None:
    await idempotency_store.complete(connection, "rewrap", ref.tenant_id, [(call, lease)])


async def _hold(connection: Connection, ref: LeaseRef) -> tuple[str, int | None] | None:
    """State and bound of a lease whose row is held from now on; None: there is no such."""
    row = await one(connection, _HOLD, (ref.tenant_id, ref.lease_id))
    return None if row is None else (row[0], row[1])


async def _shown(connection: Connection, ref: LeaseRef) -> Lease:
    row = await one(connection, ONE, (ref.tenant_id, ref.lease_id))
    assert row is not None
    return Lease(*row)


async def _besides(connection: Connection, ref: LeaseRef, step: Step) -> dict[str, object]:
    """The counts that the event of an end has besides."""
    row = await one(connection, _BESIDES, (ref.tenant_id, ref.lease_id)) if step.ends else None
    return {} if row is None else {"verified": row[0], "kms_calls": row[1]}


async def _set_throttle(connection: Connection, ref: LeaseRef, per_second: int | None) -> None:
    await connection.execute(_THROTTLE, (per_second, ref.tenant_id, ref.lease_id), prepare=True)


def _bound(per_second: int | None) -> dict[str, object]:
    return {"throttle_per_second": per_second}


async def _value(connection: Connection, query: str, *values: object) -> Any:
    row = await one(connection, query, values)
    return None if row is None else row[0]
