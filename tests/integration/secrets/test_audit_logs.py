"""The audit events as their readers get them: nothing left out, nothing twice, nothing of anybody else."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from services.common import audit, audit_chain
from services.common.audit import Event
from services.common.database import Database
from services.common.errors import DeadlineError, ValidationError
from services.common.identity import Call
from services.secrets.audit_logs import MAX_FILTERED, SLICE, AuditLogs, Filters, cursor_of
from services.secrets.paging import Paging
from services.secrets.store import PostgresAuditLogs, audit_logs
from tests.fixtures.database import fresh_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from uuid import UUID

    from tests.fixtures.database import TestDatabase, TestServer

EVERY = Filters()
KINDS = (
    Event("secret.created", "secret", "1", {"name": "A"}),
    Event("secret.accessed", "secret", "1"),
    Event("secret.accessed", "secret", "2"),
    Event("kms.sealed", "kms_binding", "b"),
    Event("secretly", "other"),
)
ROUNDS = 9
APPEND = (
    "select audit.append(%s, jsonb_build_array(jsonb_build_object('action', %s::text, 'resource_type',"
    " 't', 'actor', 'a', 'details', '{}')))"
)


@pytest.fixture(scope="module")
def shared(postgres: TestServer) -> Iterator[TestDatabase]:
    """One database for all: each test has tenants of its own."""
    with fresh_database(postgres) as made:
        yield made


@pytest.fixture
async def pool(shared: TestDatabase) -> AsyncIterator[Database]:
    made = Database(shared.dsn("coffer_secrets"), name="test")
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def logs(pool: Database) -> AuditLogs:
    return AuditLogs(PostgresAuditLogs(pool))


def call_of(tenant: UUID, deadline: float | None = None) -> Call:
    return Call("api_key:k", "r", tenant_id=tenant, deadline=deadline)


async def filled(shared: TestDatabase, pool: Database, slug: str) -> Call:
    """A tenant with every kind of event several times, and a stranger with the same."""
    for owner in (f"{slug}-stranger", slug):
        tenant = shared.create_tenant(owner)
        call = call_of(tenant)
        async with pool.tenant(tenant) as connection:
            await audit.append(connection, tenant, call, KINDS * ROUNDS)
    return call


async def everything(logs: AuditLogs, call: Call, filters: Filters, limit: int) -> list[int]:
    """The numbers in the feed, piece by piece."""
    found: list[int] = []
    cursor = None
    while True:
        piece = await logs.events(call, filters, cursor, limit)
        found += [event.seq for event in piece.events]
        if piece.next_cursor is None:
            return found
        assert len(piece.events) == limit
        cursor = piece.next_cursor


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (EVERY, {0, 1, 2, 3, 4}),
        (Filters(action="secret.accessed"), {1, 2}),
        (Filters(action_prefix="secret."), {0, 1, 2}),
        (Filters(action_prefix="secret"), {0, 1, 2, 4}),
        (Filters(action_prefix="%"), set()),
        (Filters(resource_type="kms_binding"), {3}),
        (Filters(action_prefix="s", resource_type="other"), {4}),
        (Filters(action="secret.created", resource_type="other"), set()),
    ],
    ids=str,
)
async def test_pages_and_feed_show_what_the_filters_say_each_once_and_in_order(
    shared: TestDatabase, pool: Database, logs: AuditLogs, filters: Filters, wanted: set[int]
) -> None:
    call = await filled(shared, pool, f"f{abs(hash(str(filters)))}")
    numbers = [n + 1 for n in range(len(KINDS) * ROUNDS) if n % len(KINDS) in wanted]
    assert await everything(logs, call, filters, 4) == numbers
    assert await everything(logs, call, filters, 1000) == numbers
    shown: list[int] = []
    for page in range(1, 100):
        events, place = await logs.list(call, filters, page, 7)
        assert place.total == len(numbers)
        assert {event.tenant_id for event in events} <= {call.tenant}
        shown += [event.seq for event in events]
        if page > place.total_pages:
            break
    assert shown == numbers[::-1]


async def test_a_filtered_page_may_not_be_so_far_back_that_all_before_it_is_gone_through(
    shared: TestDatabase, logs: AuditLogs
) -> None:
    call, filters = call_of(shared.create_tenant("deep")), Filters(action_prefix="secret.")
    for page, per_page in ((MAX_FILTERED // 100, 100), (MAX_FILTERED, 1)):
        assert (await logs.list(call, filters, page, per_page))[1].total == 0
        with pytest.raises(ValidationError, match="Narrow the filter") as refusal:
            await logs.list(call, filters, page + 1, per_page)
        assert set(refusal.value.fields or {}) == {"page"}
    assert (await logs.list(call, EVERY, MAX_FILTERED, 100))[0] == ()


async def test_a_drained_feed_goes_on_from_the_last_event_seen(
    shared: TestDatabase, pool: Database, logs: AuditLogs
) -> None:
    call = await filled(shared, pool, "drained")
    piece = await logs.events(call, Filters(action="kms.sealed"), None, None)
    cursor = cursor_of(piece.events[-1])
    assert (piece.next_cursor, piece.limit) == (None, 100)
    again = await logs.events(call, Filters(action="kms.sealed"), cursor, None)
    assert (again.events, again.next_cursor) == ([], None)
    async with pool.tenant(call.tenant) as connection:
        await audit.append(connection, call.tenant, call, KINDS)
    new = await logs.events(call, Filters(action="kms.sealed"), cursor, None)
    assert [event.action for event in new.events] == ["kms.sealed"]


@pytest.mark.parametrize("cursor", ["", "x", "AAAAAAAAAAA", "AAAAAAAAAAE=", "AAAAAAAAAAF", "é"])
async def test_what_is_no_cursor_is_refused_by_name(
    shared: TestDatabase, logs: AuditLogs, cursor: str
) -> None:
    call = call_of(shared.create_tenant(f"cursor{abs(hash(cursor))}"))
    with pytest.raises(ValidationError) as refusal:
        await logs.events(call, Filters(action="", resource_type="a\x00"), cursor, 1001)
    assert set(refusal.value.fields or {}) == {"cursor", "limit", "action", "resource_type"}


async def test_a_cursor_beyond_the_end_is_refused_and_not_waited_at(
    shared: TestDatabase, pool: Database, logs: AuditLogs
) -> None:
    call = await filled(shared, pool, "beyond")
    last = (await logs.events(call, EVERY, None, 1000)).events[-1]
    empty = call_of(shared.create_tenant("empty"))
    with pytest.raises(ValidationError, match="beyond"):
        await logs.events(empty, EVERY, cursor_of(last), None)
    assert (await logs.events(empty, EVERY, None, None)).events == []


async def test_no_question_is_answered_by_looking_at_every_event(
    shared: TestDatabase, pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await filled(shared, pool, "plans")
    shared.execute("analyze audit.event")
    plans: list[str] = []

    async def explain(
        connection: Any, query: str, parameters: dict[str, Any], **_: object
    ) -> list[Any]:
        cursor = await connection.execute(f"explain {query}", parameters)
        plans.append("\n".join([row[0] for row in await cursor.fetchall()]))
        return []

    async def number(connection: Any, query: str, parameters: dict[str, Any]) -> int:
        await explain(connection, query, parameters)
        return 1000

    monkeypatch.setattr(audit_logs, "_events", explain)
    monkeypatch.setattr(audit_logs, "_number", number)
    store = PostgresAuditLogs(pool)
    await store.page(call.tenant, EVERY, Paging(40, 20))
    await store.following(call.tenant, EVERY, 17, 100)
    await store.stretch(call.tenant, 1, 1000, 500)
    assert len(plans) == 4
    assert [plan for plan in plans if "Index" not in plan or "Seq Scan" in plan] == []
    for filters in (Filters(action="secret.created"), Filters(action_prefix="secret.")):
        plans.clear()
        await store.page(call.tenant, filters, Paging(40, 20))
        await store.following(call.tenant, filters, 17, 100)
        assert len(plans) == 3
        assert [plan for plan in plans if "event_kind" not in plan or "Seq Scan" in plan] == []


class Writer(threading.Thread):
    """Appends on a connection of its own, a session of the server's like any other process's, and rolls
    back every third time; sometimes to a savepoint only."""

    def __init__(self, dsn: str, tenant: UUID, name: str, times: int) -> None:
        super().__init__(name=name)
        self._dsn, self._tenant, self._times = dsn, tenant, times
        self.committed: list[str] = []

    def run(self) -> None:
        dice = random.Random(self.name)
        with psycopg.connect(self._dsn) as connection:
            for number in range(self._times):
                self._once(connection, f"{self.name}.{number}", dice)

    def _once(self, connection: psycopg.Connection[Any], action: str, dice: random.Random) -> None:
        setting = "select set_config('coffer.tenant_id', %s, true)"
        connection.execute(setting, (str(self._tenant),))
        kept = [f"{action}.{n}" for n in range(dice.randint(1, 3))]
        if dice.random() < 0.3:
            connection.execute("savepoint s")
            connection.execute(APPEND, (self._tenant, "never"))
            connection.execute("rollback to savepoint s")
        for one in kept:
            connection.execute(APPEND, (self._tenant, one))
        if dice.random() < 0.33:
            connection.rollback()
        else:
            connection.commit()
            self.committed += kept


async def test_the_feed_neither_skips_nor_reorders_while_others_write_and_roll_back(
    shared: TestDatabase, logs: AuditLogs
) -> None:
    tenant = shared.create_tenant("busy")
    call = call_of(tenant)
    dsn = shared.dsn("coffer_secrets")
    writers = [Writer(dsn, tenant, f"w{number}", 30) for number in range(6)]
    for writer in writers:
        writer.start()
    read: list[Any] = []
    cursor = None
    while True:
        done = not any(writer.is_alive() for writer in writers)  # before the look, not after it
        filters = EVERY if len(read) % 2 else Filters(action_prefix="w")
        piece = await logs.events(call, filters, cursor, 7)
        read += piece.events
        if piece.events:
            cursor = cursor_of(piece.events[-1])
        if done and piece.next_cursor is None:
            break
    assert [event.seq for event in read] == list(range(1, len(read) + 1))
    assert audit_chain.first_broken(read) is None
    for writer in writers:
        mine = [event.action for event in read if event.action.startswith(f"{writer.name}.")]
        assert mine == writer.committed
    assert (await logs.verify(call, None)).first_broken is None


async def test_a_tenant_whose_transaction_stays_open_makes_no_other_wait(
    shared: TestDatabase, logs: AuditLogs
) -> None:
    slow, quick = shared.create_tenant("slow"), shared.create_tenant("quick")
    setting = "select set_config('coffer.tenant_id', %s, true)"
    dsn = shared.dsn("coffer_secrets")
    with psycopg.connect(dsn) as held, psycopg.connect(dsn) as other:
        held.execute(setting, (str(slow),))
        held.execute(APPEND, (slow, "held"))
        other.execute("set lock_timeout = '2s'")
        other.execute(setting, (str(quick),))
        other.execute(APPEND, (quick, "done"))
        other.commit()
        assert len((await logs.events(call_of(quick), EVERY, None, None)).events) == 1
        assert (await logs.events(call_of(slow), EVERY, None, None)).events == []
        other.execute(setting, (str(slow),))
        other.execute("set local lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(APPEND, (slow, "waits"))


async def test_a_chain_is_verified_to_its_end_and_from_any_event(
    shared: TestDatabase, pool: Database, logs: AuditLogs
) -> None:
    call = await filled(shared, pool, "verified")
    count = len(KINDS) * ROUNDS
    last = (await logs.list(call, EVERY, 1, 1))[0][0]
    for first, looked_at in ((None, count), (count, 1), (count + 1, 0)):
        found = await logs.verify(call, first)
        assert (found.events, found.head, found.first_broken) == (looked_at, last.hash, None)
    for bad in (0, -1, count + 2):
        with pytest.raises(ValidationError) as refusal:
            await logs.verify(call, bad)
        assert set(refusal.value.fields or {}) == {"from"}
    empty = await logs.verify(call_of(shared.create_tenant("verified-empty")), None)
    assert (empty.events, empty.head, empty.first_broken) == (0, audit_chain.GENESIS, None)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("update audit.event set actor = 'nobody' where tenant_id = %s and seq = 20", 20),
        ("delete from audit.event where tenant_id = %s and seq = 20", 20),
        ("delete from audit.event where tenant_id = %s and seq > 40", 41),
        ("update audit.head set seq = 40 where tenant_id = %s", 41),
        ("delete from audit.head where tenant_id = %s", 1),
        ("update audit.event set details = '[1]' where tenant_id = %s and seq = 44", 44),
    ],
)
async def test_what_a_superuser_did_is_named(
    shared: TestDatabase, pool: Database, logs: AuditLogs, statement: str, broken: int
) -> None:
    call = await filled(shared, pool, f"t{abs(hash(statement))}")
    shared.tamper(statement, (call.tenant,))
    assert (await logs.verify(call, None)).first_broken == broken


async def test_a_chain_too_long_for_the_call_says_where_to_go_on(
    shared: TestDatabase, pool: Database
) -> None:
    call = await filled(shared, pool, "long")
    hurried = AuditLogs(PostgresAuditLogs(pool), clock=lambda: 100.0)
    with pytest.raises(DeadlineError, match="from=1"):
        await hurried.verify(call_of(call.tenant, deadline=100.5), None)


async def test_verifying_leaves_the_process_to_others(
    shared: TestDatabase, pool: Database, logs: AuditLogs
) -> None:
    call = await filled(shared, pool, "polite")
    async with pool.tenant(call.tenant) as connection:
        await audit.append(connection, call.tenant, call, KINDS * 300)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    assert (await logs.verify(call, None)).first_broken is None
    task.cancel()
    assert turns >= len(KINDS) * 300 // SLICE


class Gate(PostgresAuditLogs):
    """Holds every walk at its beginning until it is let on, and notes whose they are."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.let_on = asyncio.Semaphore(0)
        self.came = asyncio.Semaphore(0)
        self.begun: list[UUID] = []

    async def ends(self, tenant_id: UUID, first: int) -> audit_chain.Ends:
        self.begun.append(tenant_id)
        self.came.release()
        await self.let_on.acquire()
        return await super().ends(tenant_id, first)


async def test_walks_of_one_tenant_take_neither_the_process_nor_the_turns_of_others(
    shared: TestDatabase, pool: Database
) -> None:
    greedy, second, third = (shared.create_tenant(f"walk{number}") for number in range(3))
    gate = Gate(pool)
    logs = AuditLogs(gate)
    whose = [greedy] * 4 + [second, third]
    walks = [asyncio.create_task(logs.verify(call_of(one), None)) for one in whose]
    for _ in range(2):
        await gate.came.acquire()
    for _ in range(20):
        await asyncio.sleep(0)
    assert gate.begun == [greedy, second]
    for _ in range(2):
        gate.let_on.release()
        await gate.came.acquire()
    assert gate.begun[:4].count(greedy) == 2
    assert third in gate.begun[:4]
    for _ in walks:
        gate.let_on.release()
    await asyncio.gather(*walks)
    assert gate.begun.count(greedy) == 4
