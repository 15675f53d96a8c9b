"""What those who work on a lease may make of each of its states, and that they make nothing else of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.common.database import LEASE_REFUSED, Database
from services.rewrap.model import STATES, Hold
from services.rewrap.store import PostgresLeaseStore, PostgresLeaseWatch
from tests.integration.rewrap.ground import FENCE, LIVE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from services.rewrap.model import LeaseRef
    from tests.fixtures.database import TestDatabase
    from tests.integration.rewrap.ground import Ground

HOLDS = [Hold(0, FENCE), Hold(1, FENCE)]


class Worker:
    """Works under a fence that was good once, whatever became of the lease. Says whether it was heard."""

    def __init__(self, database: TestDatabase, ground: Ground, pool: Database) -> None:
        self._database = database
        self._ground = ground
        self._store = PostgresLeaseStore(pool)

    async def claim(self, ref: LeaseRef) -> bool:
        return await self._store.claim(ref, wanted=2, batch=10) is not None

    async def report(self, ref: LeaseRef) -> bool:
        return await self._store.report(ref, HOLDS) is not None

    async def wait(self, ref: LeaseRef) -> bool:
        return await self._store.wait(
            ref, HOLDS, attempts=1, delay_seconds=1, error="sealed", alone=True
        )

    async def release(self, ref: LeaseRef) -> bool:
        return await self._store.release(ref, HOLDS)

    async def settle(self, ref: LeaseRef) -> bool:
        return await self._store.settle(ref, batch=10, sample=0) is not None

    async def batch(self, ref: LeaseRef) -> bool:
        """As secrets saves what it has moved."""
        saved = (
            "select rewrap.record_batch(%s, %s, %s, 0::smallint, null, %s, false, 7, 0, '{}', 0)"
        )
        with psycopg.connect(self._database.dsn("coffer_secrets")) as connection:
            connection.execute(
                "select set_config('coffer.tenant_id', %s, true)", (str(ref.tenant_id),)
            )
            try:
                connection.execute(saved, (ref.tenant_id, ref.lease_id, FENCE, ref.tenant_id))
            except psycopg.DatabaseError as error:
                if error.sqlstate != LEASE_REFUSED:
                    raise
                connection.rollback()
                return False
        return True

    async def supersede(self, ref: LeaseRef) -> bool:
        """As kms does with a newer version."""
        live = self._ground.state(ref.lease_id) in LIVE
        with psycopg.connect(self._database.dsn("coffer_kms")) as connection:
            connection.execute(
                "select set_config('coffer.tenant_id', %s, true)", (str(ref.tenant_id),)
            )
            connection.execute("select rewrap.issue_lease(%s, 3, 'rotate')", (ref.tenant_id,))
        return live


@dataclass(frozen=True, slots=True)
class Call:
    """What it makes of the states that allow it; no other state hears it. `given`: what was so before."""

    name: str
    do: Callable[[Worker, LeaseRef], Awaitable[bool]]
    allowed: Mapping[str, str]
    given: str = ""


RUNNING_ALONE = {"running": "running"}
TAKEN = dict.fromkeys(("enqueued", "running", "waiting"), "running")
PAST = "lease set next_attempt_at = clock_timestamp() - interval '1 second'"
THROUGH = "lane set finished = true"
DAMAGED = "lease set failed = 1"
CALLS = [
    Call("claim", Worker.claim, {"enqueued": "running", "running": "running"}),
    Call("claim what is due", Worker.claim, TAKEN, PAST),
    Call("report", Worker.report, RUNNING_ALONE),
    Call("batch", Worker.batch, RUNNING_ALONE),
    Call("wait", Worker.wait, {"running": "waiting"}),
    Call("release", Worker.release, {"running": "enqueued"}),
    Call("settle too early", Worker.settle, RUNNING_ALONE),
    Call("complete", Worker.settle, {"running": "completed"}, THROUGH),
    Call("fail", Worker.settle, {"running": "failed"}, f"{THROUGH};{DAMAGED}"),
    Call("supersede", Worker.supersede, dict.fromkeys(LIVE, "superseded")),
]


@pytest.fixture
async def worker(database: TestDatabase, ground: Ground) -> AsyncIterator[Worker]:
    pool = Database(database.dsn("coffer_rewrap"), name="test")
    await pool.open()
    yield Worker(database, ground, pool)
    await pool.close()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_each_state_hears_what_it_may_and_nothing_else(
    worker: Worker, ground: Ground, call: Call
) -> None:
    for state in STATES:
        ref = ground.ref(state)
        for change in filter(None, call.given.split(";")):
            query = f"update rewrap.{change} where tenant_id = %s"
            ground.connection.execute(query.encode(), (ground.tenant_id,))
        before = ground.rows()
        heard = await call.do(worker, ref)
        assert heard == (state in call.allowed), state
        assert ground.state(ref.lease_id) == call.allowed.get(state, state)
        if not heard:
            # What supersedes it is there beside it.
            assert set(before) <= set(ground.rows()), state
            assert call.name == "supersede" or before == ground.rows()


async def test_a_paused_lease_is_seen_by_the_dispatcher_and_gets_no_worker(
    database: TestDatabase, ground: Ground
) -> None:
    pool = Database(database.dsn("coffer_rewrap_dispatch"), name="test")
    await pool.open()
    try:
        for state in STATES:
            ref = ground.ref(state)
            live = await PostgresLeaseWatch(pool).live()
            assert live.by_state == {one: int(one == state) for one in LIVE}
            assert [due.ref for due in live.due] == [ref] * (state in {"enqueued", "running"})
    finally:
        await pool.close()
