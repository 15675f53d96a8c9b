"""A lease on stale keys, in memory and in PostgreSQL, and ways to look inside and to let time pass."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import psycopg

from services.common.identity import Call
from services.rewrap import steering
from services.rewrap.model import Lease, LeaseRef, Verdict
from services.rewrap.store import PostgresLeaseStore
from services.rewrap.store.steering import PostgresSteering
from tests.fakes.rewrap_leases import LeaseRow, Leases

if TYPE_CHECKING:
    from services.common.database import Database
    from services.rewrap.model import Claim, Hold
    from services.rewrap.ports import LeaseStore
    from services.rewrap.steering import Step
    from tests.fakes.rewrap_clock import Clock
    from tests.fixtures.database import TestDatabase

KEYS = 30


class Subject(Protocol):
    """An implementation with one lease on KEYS stale keys, and a way to look inside."""

    @property
    def ref(self) -> LeaseRef: ...
    @property
    def store(self) -> LeaseStore: ...
    async def state(self) -> str: ...
    async def counts(self) -> tuple[int, int, int, int]: ...
    async def end_lanes(self, *, moving: int) -> None: ...
    async def supersede(self) -> None: ...
    async def step(self, step: Step) -> bool: ...
    async def renew(self) -> None: ...
    async def let_time_pass(self, seconds: float = 10) -> None: ...
    async def throttle(self, per_second: int | None) -> None: ...


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

    async def counts(self) -> tuple[int, int, int, int]:
        """Total, done, skipped, failed."""
        row = self.leases.row
        return (row.total or 0, row.done, row.skipped, row.failed)

    async def end_lanes(self, *, moving: int) -> None:
        for lane in self.leases.row.lanes.values():
            lane.finished = True
        stale = [key for key, version in self.leases.keys.items() if version != 2]
        for key in stale[:moving]:
            self.leases.keys[key] = 2

    async def supersede(self) -> None:
        if self.leases.row.state in steering.LIVE:
            self.leases.row.go("superseded")

    async def step(self, step: Step) -> bool:
        """As an administrator's step does."""
        row = self.leases.row
        if row.state not in step.allowed:
            return False
        row.go(step.state)
        for lane in row.lanes.values():
            lane.held_until = None
        return True

    async def renew(self) -> None:
        self.leases.row = LeaseRow()
        self.leases.keys = dict.fromkeys(self.leases.keys, 1)

    async def let_time_pass(self, seconds: float = 10) -> None:
        self.clock.now += seconds

    async def throttle(self, per_second: int | None) -> None:
        self.leases.row.throttle = per_second


@dataclass
class InPostgres:
    database: TestDatabase
    ref: LeaseRef
    pool: Database

    @property
    def store(self) -> LeaseStore:
        return PostgresLeaseStore(self.pool)

    async def state(self) -> str:
        rows = self.database.rows(
            "select state from rewrap.lease where id = %s", (self.ref.lease_id,)
        )
        return str(rows[0][0])

    async def counts(self) -> tuple[int, int, int, int]:
        rows = self.database.rows(
            "select coalesce(total, 0), done, skipped, failed from rewrap.lease where id = %s",
            (self.ref.lease_id,),
        )
        total, done, skipped, failed = rows[0]
        return (total, done, skipped, failed)  # type: ignore[return-value]

    async def end_lanes(self, *, moving: int) -> None:
        self.database.execute(
            "update rewrap.lane set finished = true where lease_id = %s", (self.ref.lease_id,)
        )
        self.database.execute(
            "update secrets.data_key set key_version = 2 where id in"
            " (select id from secrets.data_key where key_version = 1 limit %s)",
            (moving,),
        )

    async def supersede(self) -> None:
        issue(self.database, self.ref)

    async def step(self, step: Step) -> bool:
        """As an administrator's step does."""
        tenant = self.ref.tenant_id
        call = Call(actor="admin:test", request_id=str(uuid.uuid4()), tenant_id=tenant)
        done = await PostgresSteering(self.pool).step(self.ref, step, call)
        return isinstance(done, Lease)

    async def renew(self) -> None:
        self.database.execute("update secrets.data_key set key_version = 1")
        self.ref = LeaseRef(self.ref.tenant_id, issue(self.database, self.ref))

    async def let_time_pass(self, seconds: float = 10) -> None:
        passed = f"interval '{seconds} seconds'"
        self.database.execute(
            f"update rewrap.lease set next_attempt_at = next_attempt_at - {passed},"
            f" throttle_free_at = throttle_free_at - {passed}"
        )
        self.database.execute(f"update rewrap.lane set held_until = held_until - {passed}")

    async def throttle(self, per_second: int | None) -> None:
        self.database.execute("update rewrap.lease set throttle_per_second = %s", (per_second,))


def issue(database: TestDatabase, ref: LeaseRef) -> int:
    with psycopg.connect(database.dsn("coffer_kms")) as connection:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(ref.tenant_id),))
        row = connection.execute(
            "select rewrap.issue_lease(%s, 2, 'rotate')", (ref.tenant_id,)
        ).fetchone()
    assert row is not None
    return int(row[0])


async def claim(subject: Subject, wanted: int = 4) -> Claim:
    made = await subject.store.claim(subject.ref, wanted=wanted, batch=10)
    assert made is not None
    return made


def holds(made: Claim) -> list[Hold]:
    return [claimed.hold for claimed in made.lanes]


async def settle(subject: Subject, sample: int | None = 0) -> Verdict | None:
    return await subject.store.settle(subject.ref, batch=10, sample=sample)


async def wait(subject: Subject, held: list[Hold], *, alone: bool = True) -> bool:
    return await subject.store.wait(
        subject.ref, held, attempts=3, delay_seconds=20, error="sealed", alone=alone
    )
