"""Connections that die, and databases that must not be reached in clear."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from services.common.clock import clock
from services.common.database import Database, InsecureDatabaseUrlError, require_secure
from services.common.errors import DeadlineError, UnavailableError
from services.common.migrations import runner
from services.common.notifications import HEARTBEAT_SECONDS, Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

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
        "host=localhost hostaddr=10.1.2.3 password=canary",
        "postgresql://u:canary@localhost,db.example/x",
        "postgresql://u:canary@localhost/x?service=prod",
        "postgresql://u:canary@db.example/x?sslmode=verify-full&service=prod",
        "postgresql://u:canary@/x",
        "",
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
        "postgresql://u@db.example/x?sslmode=verify-full&hostaddr=10.1.2.3",
        "postgresql://u@127.0.0.1/x",
        "postgresql://u@localhost/x?hostaddr=::1",
        "postgresql://u@/x?host=/run/postgresql",
    ],
)
def test_loopback_sockets_and_verified_hosts_are_fine(dsn: str) -> None:
    found = conninfo_to_dict(require_secure(dsn))
    assert found == {"hostaddr": "", **conninfo_to_dict(dsn)}


async def test_the_environment_leads_to_no_other_database(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = tmp_path / "services"
    services.write_text("[away]\nhost=db.example\nhostaddr=192.0.2.1\nsslmode=disable\n")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGSERVICE", "away")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    pool = await opened(database)
    assert await pool.ping()
    await pool.close()
    assert runner.migrate(database.admin_dsn, {}) == []


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
        assert await heard.get() == "(gap)", "when it is lost"
        states.append(listener.alive)
        assert await heard.get() == "(gap)", "when it is back"
        database.execute("select pg_notify('coffer_kms', 'two')")
        assert await heard.get() == "two"
    assert states == [False, True, False]
    await listener.stop()


async def test_a_connection_that_says_nothing_any_more_is_taken_for_lost_in_time(
    database: TestDatabase,
) -> None:
    """Nothing is closed and nothing comes back: the driver alone would wait for it much longer."""
    gaps: asyncio.Queue[tuple[bool, float]] = asyncio.Queue()
    async with relayed(database.dsn("coffer_kms")) as (dsn, flowing):
        listener = Listener(
            dsn,
            "coffer_kms",
            on_payload=lambda payload: None,
            on_gap=lambda: gaps.put_nowait((listener.alive, clock())),
        )
        listener.start()
        async with asyncio.timeout(20):
            await gaps.get()
            while not listener.alive:  # noqa: ASYNC110 - there is nothing to wait on from outside
                await asyncio.sleep(0.01)
            flowing.clear()
            silent_since = clock()
            alive, lost_at = await gaps.get()
        assert not alive
        assert lost_at - silent_since < HEARTBEAT_SECONDS + 2
        flowing.set()
        await listener.stop()


@contextlib.asynccontextmanager
async def relayed(dsn: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The same database through a relay that hands on nothing while the event is not set."""
    parts = conninfo_to_dict(dsn)
    far_host, far_port = str(parts["host"]), int(parts.get("port") or 5432)
    flowing = asyncio.Event()
    flowing.set()

    under_way: set[asyncio.Task[None]] = set()

    async def hand_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await flowing.wait()
                sink.write(data)
                await sink.drain()
            sink.write_eof()

    async def relay(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        if far_host.startswith("/"):
            far = await asyncio.open_unix_connection(f"{far_host}/.s.PGSQL.{far_port}")
        else:
            far = await asyncio.open_connection(far_host, far_port)
        try:
            await asyncio.gather(hand_on(source, far[1]), hand_on(far[0], sink))
        finally:
            for one in (sink, far[1]):
                one.close()

    def begin(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.create_task(relay(source, sink)))

    async with await asyncio.start_server(begin, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        try:
            yield make_conninfo(dsn, host=host, port=port), flowing
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
