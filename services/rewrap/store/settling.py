"""What becomes of a lease whose lanes are through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from services.common import audit
from services.common.identity import Call
from services.rewrap.model import (
    MAX_LANES,
    VERIFY,
    Verdict,
    judge,
    sample_of,
    split_lanes,
    verify_lanes,
)
from services.rewrap.store import census
from services.rewrap.store.lanes import Lanes
from services.rewrap.store.pacing import BEGIN_TO_VERIFY
from services.rewrap.store.rows import announce, one

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.common.database import Connection
    from services.rewrap.model import Lane, LeaseRef
    from services.rewrap.store.census import Census

_UNMOVABLE: Final = (
    "Some data keys could not be moved or opened: {failed} are damaged, {left} are left under other"
    " versions in all."
)
_UNREADABLE: Final = "Some data keys could not be read to be verified; the log of secrets says why."
_UNCOUNTABLE: Final = (
    "The data keys left under other versions could not be counted: the database cannot read some of them."
    " Have its pages checked, then start a rewrap."
)
_THROUGH: Final = """
select l.target_version, exists (
        select from rewrap.lane n where n.tenant_id = l.tenant_id and n.lease_id = l.id
        and not n.finished)
from rewrap.lease l where l.tenant_id = %s and l.id = %s and l.state = 'running'
"""
_LOCK: Final = """
select reason, total, done, skipped, failed, verified, kms_calls, passes from rewrap.lease
where tenant_id = %s and id = %s and state = 'running' for update
"""
# Only a lane that was given up ends with troubles. Of one that moves the census says what it left.
_LANES: Final = """
select coalesce(bool_or(not finished), false), coalesce(bool_or(kind = 'verify'), false),
    coalesce(bool_or(kind = 'verify' and troubles > 0), false)
from rewrap.lane where tenant_id = %s and lease_id = %s
"""
# Counts are not ours to write.
_END_OF_LANES: Final = "select rewrap.end_pass(%s, %s, %s)"
_FINISH: Final = """
update rewrap.lease set state = %s, finished_at = clock_timestamp(), last_error = %s,
    census_after = %s::jsonb, rate_per_second = null, next_attempt_at = null, lanes_left = 0
where tenant_id = %s and id = %s
"""


async def settle(
    connection: Connection,
    ref: LeaseRef,
    *,
    batch: int,
    sample: int | None,
    chance: Callable[[], float],
    placed: bool,
) -> Verdict | None:
    """As `LeaseStore.settle`, in one transaction. The event of the end is in it. `placed`: as in `claim`."""
    key = (ref.tenant_id, ref.lease_id)
    known = await one(connection, _THROUGH, key)
    if known is None or known[1]:
        return None if known is None else Verdict.AGAIN
    # Counted before the row is held. While the lease runs its target is the active version, so what is
    # stale only shrinks: none now is none when the lease ends.
    found = await census.take(connection, ref, placed=placed)
    row = await one(connection, _LOCK, key) if found else None
    if found is None or row is None:
        return Verdict.LATER if found is None else None
    ended = _Through(known[0], found, *row)
    unfinished, verified, given_up = await one(connection, _LANES, key) or (False, False, False)
    if unfinished:
        return Verdict.AGAIN
    verdict = ended.judge(counts_too=not verified)
    if found.counted and not verified:
        passed = await one(connection, _END_OF_LANES, (*key, verdict is Verdict.AGAIN))
        assert passed is not None
        ended = replace(ended, skipped=passed[0])
        if verdict is Verdict.AGAIN:
            lanes = split_lanes(ended.stale, batch, MAX_LANES)
        else:
            lanes = verify_lanes(found.under(ended.target), sample, batch, chance)
        if lanes:
            await _go_on(connection, ref, lanes, found.under(ended.target))
            return Verdict.AGAIN
    # What cannot be counted can neither be called complete nor waited for.
    if verdict is Verdict.AGAIN or given_up or not found.counted:
        verdict = Verdict.FAILED
    await _finish(connection, ref, verdict, ended)
    return verdict


async def _go_on(
    connection: Connection, ref: LeaseRef, lanes: Sequence[Lane], under_target: int
) -> None:
    await Lanes(connection, ref, 0).replace(lanes)
    if lanes[0].kind == VERIFY:
        values = (sample_of(lanes, under_target), ref.tenant_id, ref.lease_id)
        await connection.execute(BEGIN_TO_VERIFY, values, prepare=True)
    await announce(connection, ref)


@dataclass(frozen=True, slots=True)
class _Through:
    """A lease whose lanes are through, and what was counted then."""

    target: int
    found: Census
    reason: str
    total: int | None
    done: int
    skipped: int
    failed: int
    verified: int
    kms_calls: int
    passes: int

    @property
    def stale(self) -> int:
        return self.found.stale(self.target)

    def judge(self, *, counts_too: bool) -> Verdict:
        return judge(stale=self.stale, failed=self.failed, passes=self.passes + counts_too)


async def _finish(connection: Connection, ref: LeaseRef, verdict: Verdict, ended: _Through) -> None:
    error = None
    if verdict is Verdict.FAILED and not ended.found.counted:
        error = _UNCOUNTABLE
    elif verdict is Verdict.FAILED:
        told = _UNMOVABLE if ended.stale or ended.failed else _UNREADABLE
        error = told.format(failed=ended.failed, left=ended.stale)
    values = (verdict.value, error, ended.found.json(), ref.tenant_id, ref.lease_id)
    await connection.execute(_FINISH, values, prepare=True)
    details = {
        "reason": ended.reason,
        "target_version": ended.target,
        "total": ended.total,
        "done": ended.done,
        "skipped": ended.skipped,
        "failed": ended.failed,
        "verified": ended.verified,
        "kms_calls": ended.kms_calls,
    }
    event = audit.Event(f"rewrap.{verdict.value}", "rewrap_lease", str(ref.lease_id), details)
    await audit.append(connection, ref.tenant_id, Call.of_service("rewrap"), [event])
