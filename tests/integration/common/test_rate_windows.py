"""A limit is one limit, whoever serves the key, and never more or less than what it says."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from services.common.database import Database
from services.common.errors import UnavailableError
from services.common.rate_limits import RateLimit
from services.common.rate_windows import RateLimiter
from tests.fixtures.database import fresh_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.fixtures.database import TestDatabase, TestServer


@pytest.fixture(scope="module")
def shared(postgres: TestServer) -> Iterator[TestDatabase]:
    with fresh_database(postgres) as made:
        yield made


@contextlib.asynccontextmanager
async def processes(database: TestDatabase, count: int) -> AsyncIterator[list[RateLimiter]]:
    """Limiters with a pool of their own each, as in so many processes."""
    async with contextlib.AsyncExitStack() as stack:
        limiters = []
        for number in range(count):
            pool = Database(
                database.dsn("coffer_secrets"), name=f"process {number}", max_connections=3
            )
            await pool.open()
            stack.push_async_callback(pool.close)
            limiters.append(RateLimiter(pool))
        yield limiters


def age(database: TestDatabase, key_id: str, interval: str) -> None:
    database.execute(
        "update tenancy.rate_window set window_start = window_start + %s::interval"
        " where key_id = %s",
        (interval, key_id),
    )


async def test_several_processes_allow_just_what_the_limit_says(shared: TestDatabase) -> None:
    tenant, keys, limit = uuid4(), ("a", "b"), RateLimit(97)
    async with processes(shared, 2) as limiters:
        taken = await asyncio.gather(
            *(
                limiters[number % 2].take(tenant, key, limit)
                for number in range(300)
                for key in keys
            )
        )
    for start in range(len(keys)):
        mine = taken[start :: len(keys)]
        allowed = [call for call in mine if call.allowed]
        assert len(allowed) == limit.calls
        assert sorted(call.remaining for call in allowed) == list(range(limit.calls))
        assert {call.remaining for call in mine if not call.allowed} == {0}
        assert {call.limit for call in mine} == {limit.calls}
        assert len({call.resets_at for call in mine}) == 1


async def test_the_answer_says_when_to_come_back(shared: TestDatabase) -> None:
    async with processes(shared, 1) as (limiter,):
        first = await limiter.take(uuid4(), "key", RateLimit(1, seconds=30))
    assert first.allowed
    assert 1 <= first.retry_after <= 30
    assert abs(first.resets_at - time.time()) <= 31


async def test_refused_calls_do_not_put_off_the_next_window(shared: TestDatabase) -> None:
    tenant, key, limit = uuid4(), uuid4().hex, RateLimit(2)
    async with processes(shared, 1) as (limiter,):
        before = [await limiter.take(tenant, key, limit) for _ in range(5)]
        ((used,),) = shared.rows("select used from tenancy.rate_window where key_id = %s", (key,))
        age(shared, key, "-60 s")
        after = [await limiter.take(tenant, key, limit) for _ in range(3)]
    assert [call.allowed for call in before] == [True, True, False, False, False]
    assert used == limit.calls
    assert [call.allowed for call in after] == [True, True, False]
    assert [call.remaining for call in after] == [1, 0, 0]


async def test_a_clock_that_was_set_back_locks_nobody_out(shared: TestDatabase) -> None:
    tenant, key, limit = uuid4(), uuid4().hex, RateLimit(1)
    async with processes(shared, 1) as (limiter,):
        await limiter.take(tenant, key, limit)
        age(shared, key, "1 day")
        after = await limiter.take(tenant, key, limit)
    assert after.allowed
    assert after.retry_after <= limit.seconds


async def test_a_changed_limit_holds_in_the_window_that_runs(shared: TestDatabase) -> None:
    tenant, key = uuid4(), uuid4().hex
    async with processes(shared, 1) as (limiter,):
        assert (await limiter.take(tenant, key, RateLimit(1))).allowed
        assert not (await limiter.take(tenant, key, RateLimit(1))).allowed
        assert (await limiter.take(tenant, key, RateLimit(2))).allowed
        assert not (await limiter.take(tenant, key, RateLimit(1))).allowed


async def test_a_tenant_does_not_use_up_anothers_key_of_the_same_name(
    shared: TestDatabase,
) -> None:
    async with processes(shared, 1) as (limiter,):
        taken = await asyncio.gather(
            *(limiter.take(uuid4(), "same", RateLimit(1)) for _ in range(8))
        )
    assert all(call.allowed for call in taken)


async def test_a_call_that_is_given_up_while_it_waits_harms_no_other(shared: TestDatabase) -> None:
    tenant, limit = uuid4(), RateLimit(100)
    async with processes(shared, 1) as (limiter,):
        calls = [asyncio.create_task(limiter.take(tenant, "key", limit)) for _ in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        answered = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in answered] == [True, False] * 10


async def test_what_cannot_be_counted_is_refused(shared: TestDatabase) -> None:
    async with processes(shared, 1) as (limiter,):
        pass
    refused = await asyncio.gather(
        *(limiter.take(uuid4(), "key", RateLimit(1)) for _ in range(3)), return_exceptions=True
    )
    assert [type(one) for one in refused] == [UnavailableError] * 3


def test_only_the_secrets_service_counts_and_records(shared: TestDatabase) -> None:
    for role in ("coffer_kms", "coffer_rewrap", "coffer_cli"):
        with psycopg.connect(shared.dsn(role)) as connection:
            for statement in (
                "select tenancy.take_calls('{}', '{}', '{}', '{}', '{}')",
                "select tenancy.record_use('{}', '{}', '{}', '{}')",
                "select tenancy.find_api_key_and_limit('')",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
                connection.rollback()
