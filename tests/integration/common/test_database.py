"""Connections that die, and databases that must not be reached in clear."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.common.database import Database, InsecureDatabaseUrlError, require_secure
from services.common.errors import DeadlineError, UnavailableError
from services.common.notifications import Listener

if TYPE_CHECKING:
    from tests.fixtures.database import TestDatabase

END_ALL = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where usename = 'coffer_kms' and pid <> pg_backend_pid()"
)


async def opened(database: TestDatabase) -> Database:
    pool = Database(database.dsn("coffer_kms"), name="test", max_connections=8)
    await pool.open()
    return pool


async def test_dead_connections_in_the_pool_are_not_the_callers_business(
    database: TestDatabase,
) -> None:
    tenant = database.create_tenant("acme")
    pool = await opened(database)

    async def ask() -> None:
        async with pool.tenant(tenant) as connection:
            await connection.execute("select pg_sleep(0.05)")

    await asyncio.gather(*(ask() for _ in range(8)))
    database.execute(END_ALL)
    await asyncio.gather(*(ask() for _ in range(8)))
    await pool.close()


async def test_a_connection_lost_in_the_middle_is_told_as_unavailable(
    database: TestDatabase,
) -> None:
    tenant = database.create_tenant("acme")
    pool = await opened(database)
    with pytest.raises(UnavailableError):  # noqa: PT012 - the block is the transaction
        async with pool.tenant(tenant) as connection:
            database.execute(END_ALL)
            await connection.execute("select 1")
    assert await pool.ping()
    await pool.close()


async def test_a_statement_past_its_time_is_told_as_timeout(database: TestDatabase) -> None:
    tenant = database.create_tenant("acme")
    pool = await opened(database)
    with pytest.raises(DeadlineError):  # noqa: PT012 - the block is the transaction
        async with pool.tenant(tenant) as connection:
            await connection.execute("set local statement_timeout = '10ms'")
            await connection.execute("select pg_sleep(5)")
    await pool.close()


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:canary@db.example/x",
        "postgresql://u:canary@db.example/x?sslmode=require",
        "host=db.example password=canary",
    ],
)
def test_another_host_is_reached_with_a_verified_certificate_or_not_at_all(dsn: str) -> None:
    with pytest.raises(InsecureDatabaseUrlError) as refusal:
        require_secure(dsn)
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u@db.example/x?sslmode=verify-full",
        "postgresql://u@127.0.0.1/x",
        "postgresql://u@/x?host=/run/postgresql",
    ],
)
def test_loopback_sockets_and_verified_hosts_are_fine(dsn: str) -> None:
    assert require_secure(dsn) == dsn


async def test_a_listener_knows_when_it_may_have_missed_something(database: TestDatabase) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = Listener(
        database.dsn("coffer_kms"),
        "coffer_kms",
        on_payload=heard.put_nowait,
        on_gap=lambda: heard.put_nowait("(gap)"),
    )
    states = [listener.alive]
    listener.start()
    async with asyncio.timeout(20):
        assert await heard.get() == "(gap)"
        states.append(listener.alive)
        database.execute("select pg_notify('coffer_kms', 'one')")
        assert await heard.get() == "one"
        database.execute(END_ALL)
        assert await heard.get() == "(gap)"
        database.execute("select pg_notify('coffer_kms', 'two')")
        assert await heard.get() == "two"
    assert states == [False, True]
    await listener.stop()


async def test_a_stopped_listener_leaves_no_connection(database: TestDatabase) -> None:
    listener = Listener(
        database.dsn("coffer_kms"), "coffer_kms", on_payload=print, on_gap=lambda: None
    )
    listener.start()
    while not listener.alive:  # noqa: ASYNC110 - there is nothing to wait on from outside
        await asyncio.sleep(0.01)
    await listener.stop()
    with psycopg.connect(database.admin_dsn) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity where application_name = 'listen coffer_kms'"
            " and datname = current_database()"
        ).fetchone()
    assert row == (0,)
