"""How a worker gets lanes of a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common import audit
from services.common.identity import Call
from services.rewrap.model import (
    MAX_LANES,
    MAX_WAIT_SECONDS,
    RUNNABLE,
    Claim,
    size_of_sample,
    split_lanes,
)
from services.rewrap.store import census
from services.rewrap.store.lanes import Lanes
from services.rewrap.store.rows import announce, one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Connection
    from services.rewrap.model import Hold, LeaseRef

# A moment further ahead than a lease ever waits was set before the database's clock went back.
DUE: Final = f"""
(next_attempt_at is null or next_attempt_at <= clock_timestamp()
    or next_attempt_at > clock_timestamp() + interval '{MAX_WAIT_SECONDS + 1} seconds')
"""
_KNOWN: Final = f"""
select started_at is null from rewrap.lease
where tenant_id = %s and id = %s and state = any(%s) and {DUE}
"""  # noqa: S608 - constants
_LOCK: Final = f"""
select state, started_at is null, fence, target_version, attempts, throttle_per_second is not null, reason
from rewrap.lease where tenant_id = %s and id = %s and state = any(%s) and {DUE} for update
"""  # noqa: S608 - constants
_START: Final = """
update rewrap.lease set total = %s, census_before = %s::jsonb, to_verify = %s,
    started_at = clock_timestamp()
where tenant_id = %s and id = %s
"""
_RUN: Final = """
update rewrap.lease set state = 'running', next_attempt_at = null, rate_per_second = null,
    rate_began_at = null, rate_began_done = null, rate_marked_at = null, rate_marked_done = done + verified,
    throttle_free_at = null
where tenant_id = %s and id = %s
"""
_FENCE: Final = "update rewrap.lease set fence = %s where tenant_id = %s and id = %s"


async def claim(
    connection: Connection,
    ref: LeaseRef,
    *,
    wanted: int,
    batch: int,
    lost: Sequence[Hold],
    sample: int | None,
    hold_seconds: float,
    placed: bool,
) -> Claim | None:
    """As `LeaseStore.claim`, in one transaction. `placed`: it may count; else it raises NoPlaceError."""
    key = (ref.tenant_id, ref.lease_id)
    known = await one(connection, _KNOWN, (*key, list(RUNNABLE)))
    if known is None:
        return None
    counted = None
    if known[0]:
        # Counted before the row is held: nobody who issues a newer lease waits for a count.
        counted = await census.take(connection, ref, placed=placed)
        if counted is None:
            return None
    row = await one(connection, _LOCK, (*key, list(RUNNABLE)))
    if row is None:
        return None
    state, first, fence, target, attempts, throttled, reason = row
    lanes = Lanes(connection, ref, hold_seconds)
    started = counted if first else None
    total: int | None = None
    if started is not None and started.counted:
        total = started.stale(target)
        values = (total, started.json(), size_of_sample(started.keys, sample), *key)
        await connection.execute(_START, values, prepare=True)
        await lanes.replace(split_lanes(total, batch, MAX_LANES) if total else [])
    elif started is not None:
        # What can be read is moved all the same; at the end the lease says what could not.
        await connection.execute(_START, (None, None, 0, *key), prepare=True)
        await lanes.replace(split_lanes(MAX_LANES * batch, batch, MAX_LANES))
    if state != "running":
        await connection.execute(_RUN, key, prepare=True)
        await lanes.free_all()
    await lanes.drop(lost)
    claimed = await lanes.claim(wanted, fence + 1)
    if claimed:
        await connection.execute(_FENCE, (fence + 1, *key), prepare=True)
    unfinished, _ = await lanes.count()
    if started is not None:
        await _tell(connection, ref, {"reason": reason, "target_version": target, "total": total})
    return Claim(ref, target, attempts, throttled, claimed, unfinished)


async def _tell(connection: Connection, ref: LeaseRef, details: dict[str, object]) -> None:
    """That it began. Other workers may join, now that there is something to share."""
    await announce(connection, ref)
    event = audit.Event("rewrap.started", "rewrap_lease", str(ref.lease_id), details)
    await audit.append(connection, ref.tenant_id, Call.of_service("rewrap"), [event])
