"""Rate and time left, kept by the statements of the real store.

The worker is played: instead of waiting, what the row remembers is moved into the past.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.common.database import Database
from services.rewrap.model import VERIFY_COST, LeaseRef, Verdict
from services.rewrap.store import PostgresLeaseReader, PostgresLeaseStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from services.rewrap.model import Lease, Report
    from tests.fixtures.database import TestDatabase

TOTAL = 15_000
SAMPLE = 1000
STEP = 0.5
MOMENTS = ("rate_began_at", "rate_marked_at", "started_at")


class Played:
    """A lease whose keys are moved, then verified, by nobody, at any pace."""

    def __init__(self, database: TestDatabase, pool: Database, ref: LeaseRef) -> None:
        self._database = database
        self._store = PostgresLeaseStore(pool)
        self._reader = PostgresLeaseReader(pool)
        self._ref = ref
        self._at = time.monotonic()
        self._counter = "done"
        self.done = 0

    async def begin(self) -> None:
        claim = await self._store.claim(self._ref, wanted=0, batch=1000, sample=SAMPLE)
        assert claim is not None
        self._database.execute("update rewrap.lease set total = %s", (TOTAL,))

    async def verify(self) -> None:
        """All are moved; now so many as SAMPLE are verified."""
        verdict = await self._store.settle(self._ref, batch=1000, sample=SAMPLE)
        assert verdict is Verdict.AGAIN
        self._counter, self.done = "verified", 0

    async def again(self) -> None:
        """Let go, and taken up again."""
        assert await self._store.release(self._ref, [])
        await self._store.claim(self._ref, wanted=0, batch=1000)

    async def shown(self) -> Lease:
        lease = await self._reader.get(self._ref)
        assert lease is not None
        return lease

    async def go_on(self, keys: int, seconds: float = STEP) -> Report:
        """So long nothing happens, then so many are moved; and the worker reports."""
        self.done += keys
        # What the test itself took since it was here last is part of it.
        passed, self._at = time.monotonic() - self._at, time.monotonic()
        rest = f"interval '{seconds - passed} seconds'"
        moved = [f"{name} = {name} - {rest}" for name in MOMENTS]
        if keys:
            moved += [f"{self._counter} = {self.done}", "progressed_at = clock_timestamp()"]
        else:
            moved.append(f"progressed_at = progressed_at - {rest}")
        self._database.execute(f"update rewrap.lease set {', '.join(moved)}")
        told = await self._store.report(self._ref, [])
        assert told is not None
        return told

    async def run(self, rate: float) -> None:
        """To the end at a steady pace; the time left is right within a fifth after the first tenth."""
        while self.done < TOTAL:
            told = await self.go_on(round(rate * STEP))
            if self.done >= TOTAL / 10 and self.done < TOTAL:
                left = (TOTAL - self.done + VERIFY_COST * SAMPLE) / rate
                assert told.seconds_left == pytest.approx(left, rel=0.2)


@pytest.fixture
async def played(database: TestDatabase) -> AsyncIterator[Played]:
    tenant = database.create_tenant("acme")
    lease = _issue(database, tenant)
    pool = Database(database.dsn("coffer_rewrap"), name="test", max_connections=1)
    await pool.open()
    database.execute(
        "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
        " select %s, gen_random_uuid(), 2, decode(repeat('00', 68), 'hex') from generate_series(1, %s)",
        (tenant, 2 * SAMPLE),
    )
    made = Played(database, pool, LeaseRef(tenant, lease))
    await made.begin()
    yield made
    await pool.close()


def _issue(database: TestDatabase, tenant: UUID) -> int:
    with psycopg.connect(database.dsn("coffer_kms")) as connection:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant),))
        row = connection.execute("select rewrap.issue_lease(%s, 2, 'rotate')", (tenant,)).fetchone()
    assert row is not None
    return int(row[0])


async def test_the_time_left_can_be_believed_from_the_first_tenth_on(played: Played) -> None:
    await played.run(1000)


async def test_it_can_be_believed_after_a_slow_start_too(played: Played) -> None:
    for _ in range(8):
        told = await played.go_on(0)
        assert told.progress.rate_per_second is None
    await played.run(1000)


async def test_the_rate_follows_a_lease_that_becomes_slower(played: Played) -> None:
    for _ in range(12):
        await played.go_on(500)
    for _ in range(16):
        told = await played.go_on(100)
    assert told.progress.rate_per_second == pytest.approx(360, rel=0.15)
    for _ in range(16):
        told = await played.go_on(100)
    assert told.progress.rate_per_second == pytest.approx(200, rel=0.2)


async def test_several_workers_that_report_at_once_do_not_distort_the_rate(played: Played) -> None:
    for _ in range(12):
        await played.go_on(500)
        for _ in range(2):
            told = await played.go_on(0, 0.0)
    assert told.progress.rate_per_second == pytest.approx(1000, rel=0.1)


async def test_a_lease_on_which_nobody_worked_for_a_while_tells_no_rate_of_long_ago(
    played: Played,
) -> None:
    for _ in range(6):
        await played.go_on(500)
    told = await played.go_on(500, 60)
    assert told.progress.rate_per_second is None
    for _ in range(4):
        told = await played.go_on(500)
    assert told.progress.rate_per_second == pytest.approx(1000, rel=0.1)


async def test_a_clock_that_went_back_is_got_over(played: Played) -> None:
    for _ in range(6):
        await played.go_on(500)
    await played.go_on(500, -3600)
    for _ in range(4):
        told = await played.go_on(500)
    assert told.progress.rate_per_second == pytest.approx(1000, rel=0.1)


async def test_the_time_left_has_the_verification_at_the_rate_of_that(played: Played) -> None:
    for _ in range(6):
        await played.go_on(2500)
    await played.verify()
    told = await played.go_on(0)
    assert told.seconds_left == pytest.approx(SAMPLE * VERIFY_COST / 5000, rel=0.2)
    for _ in range(4):
        told = await played.go_on(50)
    assert told.seconds_left == pytest.approx((SAMPLE - 200) / 100, rel=0.2)
    lease = await played.shown()
    assert lease.eta_seconds == pytest.approx(8, abs=2)
    assert (lease.moved_per_second, lease.done) == (None, TOTAL)
    await played.again()
    assert (await played.shown()).eta_seconds is None
    for _ in range(4):
        told = await played.go_on(50)
    assert told.seconds_left == pytest.approx((SAMPLE - 400) / 100, rel=0.25)
