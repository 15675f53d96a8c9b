"""The promises of the port `LeaseStore`, kept by PostgreSQL and by the fake alike."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import psycopg
import pytest

from services.common.database import Database
from services.rewrap.model import LeaseRef, Verdict
from services.rewrap.store import PostgresLeaseStore
from tests.fakes.rewrap_leases import Clock, Leases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.rewrap.model import Taken
    from services.rewrap.ports import LeaseStore
    from tests.fixtures.database import TestDatabase

KEYS = 30


class Subject(Protocol):
    """An implementation with one lease on KEYS stale keys, and a way to look inside."""

    @property
    def ref(self) -> LeaseRef: ...
    @property
    def store(self) -> LeaseStore: ...
    async def state(self) -> str: ...
    async def end_lanes(self, *, moving: int) -> None: ...
    async def supersede(self) -> None: ...
    async def let_time_pass(self) -> None: ...


@dataclass
class InMemory:
    leases: Leases
    clock: Clock

    @property
    def ref(self) -> LeaseRef:
        return self.leases.ref

    @property
    def store(self) -> LeaseStore:
        return self.leases

    async def state(self) -> str:
        return self.leases.row.state

    async def end_lanes(self, *, moving: int) -> None:
        for lane in self.leases.row.lanes.values():
            lane.finished = True
        for key in list(self.leases.keys)[:moving]:
            self.leases.keys[key] = 2

    async def supersede(self) -> None:
        self.leases.row.fence += 1
        self.leases.row.go("superseded")

    async def let_time_pass(self) -> None:
        self.clock.now += 3600


@dataclass
class InPostgres:
    database: TestDatabase
    ref: LeaseRef
    store: LeaseStore

    async def state(self) -> str:
        rows = self.database.rows(
            "select state from rewrap.lease where id = %s", (self.ref.lease_id,)
        )
        return str(rows[0][0])

    async def end_lanes(self, *, moving: int) -> None:
        self.database.execute("update rewrap.lane set finished = true")
        self.database.execute(
            "update secrets.data_key set key_version = 2 where id in"
            " (select id from secrets.data_key where key_version = 1 limit %s)",
            (moving,),
        )

    async def supersede(self) -> None:
        _issue(self.database, self.ref)

    async def let_time_pass(self) -> None:
        self.database.execute(
            "update rewrap.lease set next_attempt_at = next_attempt_at - interval '1 hour'"
        )


def _issue(database: TestDatabase, ref: LeaseRef) -> int:
    with psycopg.connect(database.dsn("coffer_kms")) as connection:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(ref.tenant_id),))
        row = connection.execute(
            "select rewrap.issue_lease(%s, 2, 'rotate')", (ref.tenant_id,)
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture(params=["memory", "postgres"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "memory":
        clock = Clock()
        yield InMemory(Leases(clock, KEYS), clock)
        return
    database: TestDatabase = request.getfixturevalue("database")
    tenant = database.create_tenant("acme")
    database.execute(
        "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
        " select %s, gen_random_uuid(), 1, decode(repeat('00', 68), 'hex')"
        " from generate_series(1, %s)",
        (tenant, KEYS),
    )
    lease = _issue(database, LeaseRef(tenant, 0))
    pool = Database(database.dsn("coffer_rewrap"), name="test")
    await pool.open()
    async with contextlib.aclosing(_Closing(pool)):
        yield InPostgres(database, LeaseRef(tenant, lease), PostgresLeaseStore(pool))


class _Closing:
    def __init__(self, pool: Database) -> None:
        self._pool = pool

    async def aclose(self) -> None:
        await self._pool.close()


async def take(subject: Subject) -> Taken:
    taken = await subject.store.take(subject.ref, lanes=4, batch=10)
    assert taken is not None
    return taken


async def test_each_taking_raises_the_fence(subject: Subject) -> None:
    first, second = await take(subject), await take(subject)
    assert second.fence == first.fence + 1
    assert second.lanes == first.lanes
    assert len(first.lanes) == 3
    assert await subject.state() == "running"


async def test_an_older_fence_can_do_nothing(subject: Subject) -> None:
    old = await take(subject)
    await take(subject)
    store, ref = subject.store, subject.ref
    assert await store.report(ref, old.fence, 1.0) is None
    assert await store.settle(ref, old.fence, lanes=4, batch=10) is None
    assert not await store.wait(ref, old.fence, attempts=1, delay_seconds=0, error="late")
    assert not await store.release(ref, old.fence)
    assert await subject.state() == "running"


async def test_a_superseded_lease_is_not_taken_and_its_holder_can_do_nothing(
    subject: Subject,
) -> None:
    held = await take(subject)
    await subject.supersede()
    assert await subject.store.report(subject.ref, held.fence, 1.0) is None
    assert await subject.store.settle(subject.ref, held.fence, lanes=4, batch=10) is None
    assert await subject.store.take(subject.ref, lanes=4, batch=10) is None
    assert await subject.state() == "superseded"


async def test_a_lease_is_not_completed_while_keys_are_stale(subject: Subject) -> None:
    held = await take(subject)
    await subject.end_lanes(moving=KEYS - 1)
    settled = await subject.store.settle(subject.ref, held.fence, lanes=4, batch=10)
    assert settled is not None
    assert settled.verdict is Verdict.AGAIN
    assert len(settled.lanes) == 1
    assert await subject.state() == "running"


async def test_passes_are_bounded(subject: Subject) -> None:
    held = await take(subject)
    verdicts = []
    for _ in range(3):
        await subject.end_lanes(moving=0)
        settled = await subject.store.settle(subject.ref, held.fence, lanes=4, batch=10)
        assert settled is not None
        verdicts.append(settled.verdict)
    assert verdicts == [Verdict.AGAIN, Verdict.AGAIN, Verdict.FAILED]
    assert await subject.state() == "failed"


async def test_a_settled_lease_stays_settled(subject: Subject) -> None:
    held = await take(subject)
    await subject.end_lanes(moving=KEYS)
    settled = await subject.store.settle(subject.ref, held.fence, lanes=4, batch=10)
    assert settled is not None
    assert settled.verdict is Verdict.COMPLETED
    assert await subject.store.settle(subject.ref, held.fence, lanes=4, batch=10) is None
    assert not await subject.store.release(subject.ref, held.fence)
    assert await subject.store.take(subject.ref, lanes=4, batch=10) is None


async def test_a_waiting_lease_is_taken_only_when_it_is_due(subject: Subject) -> None:
    held = await take(subject)
    assert await subject.store.wait(
        subject.ref, held.fence, attempts=3, delay_seconds=1800, error="sealed"
    )
    assert await subject.state() == "waiting"
    assert await subject.store.take(subject.ref, lanes=4, batch=10) is None
    await subject.let_time_pass()
    assert (await take(subject)).attempts == 3


async def test_a_released_lease_can_be_taken_at_once(subject: Subject) -> None:
    held = await take(subject)
    assert await subject.store.release(subject.ref, held.fence)
    assert await subject.state() == "enqueued"
    assert (await take(subject)).fence == held.fence + 1


async def test_a_lease_that_does_not_exist_is_not_taken(subject: Subject) -> None:
    other = LeaseRef(subject.ref.tenant_id, subject.ref.lease_id + 1000)
    if isinstance(subject, InPostgres):
        assert await subject.store.take(other, lanes=4, batch=10) is None
