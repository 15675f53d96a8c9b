"""What rewrap's logins may not do: it steers, and sees neither a key nor a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from uuid import UUID

    from tests.fixtures.database import TestDatabase


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
    database: TestDatabase, role: str, table: str
) -> None:
    tenant = database.create_tenant("acme")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(database, role, f"select * from {table}", tenant)


@pytest.mark.parametrize(
    "statement",
    [
        "select rewrap.record_batch(null, 1, 1, 0::smallint, null, null, true, 1, 0, '{}')",
        "select kms.hold_active(null, 1)",
        "select kms.take_ring(null)",
    ],
)
def test_rewrap_may_not_save_progress_that_secrets_did_not_make(
    database: TestDatabase, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(database, "coffer_rewrap", statement)


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


def test_the_dispatchers_login_sees_all_leases_and_changes_none(database: TestDatabase) -> None:
    tenants = {database.create_tenant(slug) for slug in ("one", "two")}
    for tenant in tenants:
        issue = f"select rewrap.issue_lease('{tenant}', 2, 'rotate')"
        attempt(database, "coffer_rewrap", issue, tenant)
    role = "coffer_rewrap_dispatch"
    rows = attempt(database, role, "select tenant_id from rewrap.lease")
    assert {row[0] for row in rows} == tenants
    for statement in (
        "update rewrap.lease set state = 'completed'",
        "delete from rewrap.lease",
        "select * from rewrap.lane",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(database, role, statement)
