"""What would go wrong: a throttle is exceeded by many workers, or a busy machine falls behind it.

Counted by the database's clock. Instead of waiting, what the row remembers is moved into the past.
"""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

import pytest

from services.common.database import Database
from services.common.identity import Call
from services.rewrap.model import Lease, LeaseRef
from services.rewrap.pace import Throttle
from services.rewrap.store import PostgresLeaseStore, PostgresSteering
from tests.fakes.rewrap_subjects import issue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fixtures.database import TestDatabase

WORKERS = 3
LATE_SECONDS = 0.7
"""A worker is now and then, on a busy machine."""


class Played:
    """A lease, and workers that ask for keys as soon as they may, or come late."""

    def __init__(self, database: TestDatabase, pool: Database, ref: LeaseRef) -> None:
        self._database = database
        self._steering = PostgresSteering(pool)
        self._ref = ref
        self._passed = 0.0
        self._chance = random.Random(6)
        self._workers = [
            Throttle(ref, PostgresLeaseStore(pool), self.sleep, throttled=True)
            for _ in range(WORKERS)
        ]

    async def sleep(self, seconds: float) -> None:
        self._passed += seconds
        self._database.execute(
            "update rewrap.lease set throttle_free_at = throttle_free_at - make_interval(secs => %s)",
            (seconds,),
        )

    async def throttle(self, per_second: int | None) -> None:
        tenant = self._ref.tenant_id
        call = Call(actor="admin:test", request_id=str(uuid.uuid4()), tenant_id=tenant)
        assert isinstance(await self._steering.throttle(self._ref, per_second, call), Lease)

    async def rate(self, batches: int) -> float:
        """Keys a second from the first admission to the last. Not all that are admitted are there to move."""
        began, keys = self._now(), 0
        for number in range(batches):
            worker = self._chance.choice(self._workers)
            got = await worker.admit(1000, lambda: False)
            unused = got // 4 if number % 4 == 0 else 0
            worker.give_back(unused)
            keys += got - unused
            if number % 8 == 5:
                await self.sleep(LATE_SECONDS)
        for worker in self._workers:
            keys += await worker.admit(1, lambda: False)
        await worker.admit(1, lambda: False)
        return keys / (self._now() - began)

    def _now(self) -> float:
        rows = self._database.rows("select extract(epoch from clock_timestamp())::float8")
        return float(str(rows[0][0])) + self._passed


@pytest.fixture
async def played(database: TestDatabase) -> AsyncIterator[Played]:
    tenant = database.create_tenant("acme")
    ref = LeaseRef(tenant, issue(database, LeaseRef(tenant, 0)))
    database.execute("update rewrap.lease set state = 'running'")
    pool = Database(database.dsn("coffer_rewrap"), name="test", max_connections=1)
    await pool.open()
    yield Played(database, pool, ref)
    await pool.close()


async def test_a_throttle_is_exact_over_workers_and_changes(played: Played) -> None:
    for per_second in (1000, 30, 3000, 1, 800):
        await played.throttle(per_second)
        assert await played.rate(60) == pytest.approx(per_second, rel=0.05)


async def test_what_was_not_used_is_not_caught_up_under_another_throttle(played: Played) -> None:
    await played.throttle(1000)
    await played.rate(3)
    await played.sleep(2)
    await played.throttle(None)
    await played.throttle(500)
    assert await played.rate(40) == pytest.approx(500, rel=0.05)
