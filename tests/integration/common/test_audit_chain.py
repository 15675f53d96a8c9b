"""What the audit chain promises, against the database that makes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.common import audit, audit_chain
from services.common.audit import Event
from services.common.audit_chain import StoredEvent
from services.common.database import Database
from services.common.identity import Call
from services.common.migrations.runner import LOGIN_ROLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from tests.fixtures.database import TestDatabase

CALL = Call(actor="admin:alice", request_id="11111111-1111-4111-8111-111111111111")


@pytest.fixture
async def kms_database(database: TestDatabase) -> AsyncIterator[Database]:
    pool = Database(database.dsn("coffer_kms"), name="test")
    await pool.open()
    yield pool
    await pool.close()


async def append(pool: Database, tenant: UUID, *events: Event) -> None:
    async with pool.tenant(tenant) as connection:
        await audit.append(connection, tenant, CALL, events)


def chain(database: TestDatabase, tenant: UUID) -> list[StoredEvent]:
    rows = database.rows(
        "select tenant_id, seq, id, action, resource_type, resource_id, actor, details, ip_address,"
        " request_id, created_at, previous_hash, hash from audit.event where tenant_id = %s"
        " order by seq",
        (tenant,),
    )
    return [StoredEvent(*row) for row in rows]  # type: ignore[arg-type]


async def test_the_chain_that_the_database_makes_verifies_outside_it(
    database: TestDatabase, kms_database: Database
) -> None:
    tenant = database.create_tenant("acme")
    await append(
        kms_database, tenant, Event("a", "t", "1", {"ü": 'quote " and \\'}), Event("b", "t")
    )
    await append(kms_database, tenant, Event("c", "t", None, {"n": 3}))
    events = chain(database, tenant)
    assert [event.seq for event in events] == [1, 2, 3]
    assert audit_chain.first_broken(events) is None


async def test_concurrent_appends_leave_no_gap_and_no_fork(
    database: TestDatabase, kms_database: Database
) -> None:
    tenant = database.create_tenant("acme")
    await asyncio.gather(*(append(kms_database, tenant, Event(f"e{n}", "t")) for n in range(40)))
    events = chain(database, tenant)
    assert len(events) == 40
    assert audit_chain.first_broken(events) is None


async def test_a_changed_event_breaks_the_chain_at_its_place(
    database: TestDatabase, kms_database: Database
) -> None:
    tenant = database.create_tenant("acme")
    for name in "abc":
        await append(kms_database, tenant, Event(name, "t"))
    database.execute("alter table audit.event disable trigger user")
    database.execute("update audit.event set actor = 'nobody' where seq = 2")
    assert audit_chain.first_broken(chain(database, tenant)) == 2


@pytest.mark.parametrize(
    "statement",
    ["update audit.event set actor = 'x'", "delete from audit.event", "truncate audit.event"],
)
async def test_not_even_the_superuser_changes_events_by_an_ordinary_statement(
    database: TestDatabase, kms_database: Database, statement: str
) -> None:
    tenant = database.create_tenant("acme")
    await append(kms_database, tenant, Event("a", "t"))
    with pytest.raises(psycopg.errors.DatabaseError) as refusal:
        database.execute(statement)
    assert refusal.value.sqlstate == "CF004"


async def test_no_role_of_ours_changes_events_nor_the_owner_of_the_table(
    database: TestDatabase, kms_database: Database
) -> None:
    tenant = database.create_tenant("acme")
    await append(kms_database, tenant, Event("a", "t"))
    statements = (
        "update audit.event set actor = 'x'",
        "delete from audit.event",
        "truncate audit.event",
        "insert into audit.event select * from audit.event",
    )
    for role in (*LOGIN_ROLES, "coffer_owner", "coffer_functions"):
        for statement in statements:
            if role in {"coffer_owner", "coffer_functions"} and statement.startswith("insert"):
                continue  # nobody logs in as these; the functions' owner inserts for all
            with psycopg.connect(database.admin_dsn) as connection:
                connection.execute(
                    "select set_config('coffer.tenant_id', %s, true)", (str(tenant),)
                )
                connection.execute(f"set local role {role}".encode())
                with pytest.raises(psycopg.errors.DatabaseError) as refusal:
                    connection.execute(statement.encode())
            refused = {"CF004", "42501"}  # by the trigger, or for want of the right
            assert refusal.value.sqlstate in refused, f"{role}: {statement}"
    assert len(chain(database, tenant)) == 1


async def test_a_rolled_back_change_leaves_no_event(
    database: TestDatabase, kms_database: Database
) -> None:
    tenant = database.create_tenant("acme")
    with pytest.raises(RuntimeError):  # noqa: PT012 - the block is the transaction
        async with kms_database.tenant(tenant) as connection:
            await audit.append(connection, tenant, CALL, [Event("a", "t")])
            raise RuntimeError
    assert chain(database, tenant) == []


async def test_events_are_never_appended_for_another_tenant(
    database: TestDatabase, kms_database: Database
) -> None:
    tenant, stranger = database.create_tenant("acme"), database.create_tenant("other")
    with pytest.raises(psycopg.errors.DatabaseError) as refusal:
        async with kms_database.tenant(stranger) as connection:
            await audit.append(connection, tenant, CALL, [Event("a", "t")])
    assert refusal.value.sqlstate == "CF003"
