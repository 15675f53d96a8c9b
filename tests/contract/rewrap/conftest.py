"""A lease in each kind of store."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from services.common.database import Database
from services.rewrap.model import LeaseRef
from tests.fakes.rewrap_clock import Clock
from tests.fakes.rewrap_leases import Leases
from tests.fakes.rewrap_subjects import KEYS, InMemory, InPostgres, issue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fakes.rewrap_subjects import Subject
    from tests.fixtures.database import TestDatabase


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
    lease = issue(database, LeaseRef(tenant, 0))
    pool = Database(database.dsn("coffer_rewrap"), name="test")
    await pool.open()
    async with contextlib.aclosing(_Closing(pool)):
        yield InPostgres(database, LeaseRef(tenant, lease), pool)


class _Closing:
    def __init__(self, pool: Database) -> None:
        self._pool = pool

    async def aclose(self) -> None:
        await self._pool.close()
