"""What would go wrong: workers lose their lanes because leases of others are being counted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.common.database import Database
from services.rewrap.model import LeaseRef
from services.rewrap.store import PostgresLeaseStore
from services.rewrap.store.census import AT_ONCE
from tests.fakes.rewrap_subjects import issue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fixtures.database import TestDatabase

_GATE = 6
_SLOW = f"""
create or replace function secrets.census(p_tenant uuid) returns table (key_version bigint, data_keys bigint)
language plpgsql volatile security definer as $$
begin
    perform pg_advisory_xact_lock_shared({_GATE});
    return query select 1::bigint, 5::bigint;
end $$
"""
_COUNTING = f"""
select count(*) from pg_locks where locktype = 'advisory' and objid = {_GATE} and not granted
    and database = (select oid from pg_database where datname = current_database())
"""


@pytest.fixture
async def pool(database: TestDatabase) -> AsyncIterator[Database]:
    pool = Database(database.dsn("coffer_rewrap"), name="test", max_connections=AT_ONCE + 1)
    await pool.open()
    yield pool
    await pool.close()


async def test_many_leases_that_are_counted_leave_a_connection_to_who_holds_a_lane(
    database: TestDatabase, pool: Database
) -> None:
    store = PostgresLeaseStore(pool)
    tenants = [database.create_tenant(f"t{number}") for number in range(AT_ONCE + 3)]
    held, *others = [LeaseRef(tenant, issue(database, LeaseRef(tenant, 0))) for tenant in tenants]
    database.execute(
        "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
        " select %s, gen_random_uuid(), 1, decode(repeat('00', 68), 'hex')",
        (held.tenant_id,),
    )
    first = await store.claim(held, wanted=1, batch=10)
    assert first is not None
    with psycopg.connect(database.admin_dsn, autocommit=True) as gate:
        gate.execute(_SLOW)
        gate.execute("select pg_advisory_lock(%s)", (_GATE,))
        counted = [asyncio.create_task(store.claim(ref, wanted=1, batch=10)) for ref in others]
        while int(str(database.rows(_COUNTING)[0][0])) < AT_ONCE:  # noqa: ASYNC110 - rows, not events
            await asyncio.sleep(0.02)
        told = await store.report(held, [claimed.hold for claimed in first.lanes])
        assert told is not None
        assert len(told.ours) == 1
        gate.execute("select pg_advisory_unlock(%s)", (_GATE,))
        claims = await asyncio.gather(*counted)
    assert [len(claim.lanes) for claim in claims if claim] == [1] * len(others)
