"""What rewrap's logins may not do: it steers, and sees neither a key nor a secret."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.common.database import LEASE_REFUSED
from tests.fixtures.database import fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tests.fixtures.database import TestDatabase, TestServer
    from tests.integration.rewrap.ground import Ground


@pytest.fixture(scope="module")
def shared(postgres: TestServer) -> Iterator[TestDatabase]:
    """For tests that change nothing."""
    with fresh_database(postgres) as made:
        yield made


def attempt(
    database: TestDatabase, role: str, query: str, tenant: UUID | None = None
) -> list[tuple[object, ...]]:
    with psycopg.connect(database.dsn(role)) as connection:
        if tenant is not None:
            connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant),))
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("role", ["coffer_rewrap", "coffer_rewrap_dispatch", "coffer_queue"])
@pytest.mark.parametrize(
    "table",
    [
        "secrets.data_key",
        "secrets.value_version",
        "secrets.secret",
        "kms.master_key",
        "kms.binding",
        "tenancy.api_key",
    ],
)
def test_no_login_of_rewrap_reads_keys_or_secrets(
    shared: TestDatabase, role: str, table: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(shared, role, f"select * from {table}", uuid.uuid4())


@pytest.mark.parametrize(
    "statement",
    [
        "select rewrap.record_batch(null, 1, 1, 0::smallint, null, null, true, 1, 0, '{}')",
        "select rewrap.record_batch(null, 1, 1, 0::smallint, null, null, true, 1, 0, '{}', 0)",
        "select rewrap.record_verified(null, 1, 1, 0::smallint, null, null, true, 1, '{}')",
        "select kms.hold_active(null, 1)",
        "select kms.take_ring(null)",
        "update rewrap.lease set done = 1",
        "update rewrap.lease set skipped = 1",
        "update rewrap.lease set failed = 0",
        "update rewrap.lease set failed_ids = '{}'",
        "update rewrap.lease set verified = 1",
        "update rewrap.lease set kms_calls = 0",
        "update rewrap.lease set passes = 0",
        "update rewrap.lease set target_version = 1",
        "delete from rewrap.lease",
        "insert into rewrap.lease (tenant_id, reason, target_version) values (null, 'rotate', 1)",
        "update rewrap.lane set finished = true",
        "update rewrap.lane set cursor = until",
        "update rewrap.lane set quota = 0",
        "insert into rewrap.lane (lease_id, lane, until, finished) values (1, 0, null, true)",
    ],
)
def test_rewrap_may_not_save_progress_that_secrets_did_not_make(
    shared: TestDatabase, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(shared, "coffer_rewrap", statement)


def test_failures_are_counted_anew_only_when_all_keys_were_gone_through(
    database: TestDatabase, ground: Ground
) -> None:
    """What ends a pass may be called by who steers; it changes nothing before the end, and nothing after."""
    tenant = ground.tenant_id
    for change in (
        "update rewrap.lane set finished = true where lane = 0",
        "update rewrap.lane set finished = true, kind = 'verify'",
        "delete from rewrap.lane; update rewrap.lease set verified = 1",
        "delete from rewrap.lane; update rewrap.lease set state = 'failed', finished_at = now()",
    ):
        lease = ground.put("running")
        ground.connection.execute("update rewrap.lease set failed = 7")
        ground.connection.execute(change.encode())
        before = ground.rows()
        for again in ("true", "false"):
            end = f"select rewrap.end_pass('{tenant}', {lease}, {again})"
            with pytest.raises(psycopg.DatabaseError) as refusal:
                attempt(database, "coffer_rewrap", end, tenant)
            assert refusal.value.sqlstate == LEASE_REFUSED
        assert ground.rows() == before, change


def test_a_workers_login_sees_only_the_leases_of_its_transactions_tenant(
    database: TestDatabase,
) -> None:
    mine, other = database.create_tenant("mine"), database.create_tenant("other")
    for tenant in (mine, other):
        issue = f"select rewrap.issue_lease('{tenant}', 2, 'rotate')"
        attempt(database, "coffer_rewrap", issue, tenant)
    seen = "select tenant_id from rewrap.lease"
    assert attempt(database, "coffer_rewrap", seen, mine) == [(mine,)]
    assert attempt(database, "coffer_rewrap", seen) == []
    with pytest.raises(psycopg.DatabaseError, match="not the tenant"):
        attempt(
            database, "coffer_rewrap", f"select rewrap.issue_lease('{other}', 3, 'rotate')", mine
        )


def test_the_dispatchers_login_sees_which_leases_are_alive_and_changes_none(
    database: TestDatabase,
) -> None:
    tenants = {database.create_tenant(slug) for slug in ("one", "two")}
    for tenant in tenants:
        for _ in range(2):  # the second supersedes the first
            issue = f"select rewrap.issue_lease('{tenant}', 2, 'rotate')"
            attempt(database, "coffer_rewrap", issue, tenant)
    role = "coffer_rewrap_dispatch"
    seen = "tenant_id, state, id, next_attempt_at, lanes_left"
    rows = attempt(database, role, f"select {seen} from rewrap.lease")
    assert sorted(row[:2] for row in rows) == sorted((tenant, "enqueued") for tenant in tenants)
    hidden = database.rows(
        "select attname from pg_attribute where attrelid = 'rewrap.lease'::regclass"
        " and attnum > 0 and not attisdropped and attname <> all(%s)",
        (seen.split(", "),),
    )
    assert ("failed_ids",) in hidden
    for statement in (
        *(f"select {name} from rewrap.lease" for (name,) in hidden),
        "update rewrap.lease set state = 'completed'",
        "delete from rewrap.lease",
        "select from rewrap.lane",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(database, role, statement)
