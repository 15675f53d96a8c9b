"""What PostgreSQL refuses when our own code makes a mistake."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from services.common.migrations.runner import LOGIN_ROLES

if TYPE_CHECKING:
    from uuid import UUID

    from tests.fixtures.database import TestDatabase

SERVICE_ROLES = ("coffer_kms", "coffer_secrets", "coffer_rewrap")


def as_role(database: TestDatabase, role: str, tenant: UUID | None) -> psycopg.Connection[object]:
    connection = psycopg.connect(database.dsn(role))
    if tenant is not None:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant),))
    return connection


def environment(database: TestDatabase, tenant: UUID) -> None:
    database.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " values (%s, gen_random_uuid(), 'production', 'Production')",
        (tenant,),
    )


def tenant_tables(database: TestDatabase) -> list[str]:
    found = database.rows(
        "select n.nspname || '.' || c.relname from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind = 'r' and n.nspname in ('tenancy', 'audit', 'kms', 'secrets', 'rewrap')"
        " and exists (select from pg_attribute a where a.attrelid = c.oid"
        " and a.attname = 'tenant_id' and not a.attisdropped)"
    )
    return [str(name) for (name,) in found]


def test_every_table_with_tenant_data_forces_row_level_security_and_keys_by_tenant(
    database: TestDatabase,
) -> None:
    tables = tenant_tables(database)
    assert len(tables) >= 15
    for table in tables:
        ((enabled, forced, owner),) = database.rows(
            "select relrowsecurity, relforcerowsecurity, relowner::regrole::text from pg_class"
            " where oid = %s::regclass",
            (table,),
        )
        assert (enabled, forced, owner) == (True, True, "coffer_owner"), table
        ((first,),) = database.rows(
            "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
            " and a.attnum = i.indkey[0] where i.indrelid = %s::regclass and i.indisprimary",
            (table,),
        )
        assert first == "tenant_id", f"{table}: the primary key must begin with the tenant"


def test_no_login_role_owns_anything_or_bypasses_policies(database: TestDatabase) -> None:
    rows = database.rows(
        "select rolname, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb from pg_roles"
        " where rolname = any(%s)",
        (list(LOGIN_ROLES),),
    )
    assert len(rows) == len(LOGIN_ROLES)
    assert not [name for name, mighty in rows if mighty]
    owned = database.rows(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname in ('tenancy', 'audit', 'kms', 'secrets', 'rewrap')"
        " and c.relowner::regrole::text = any(%s)",
        (list(LOGIN_ROLES),),
    )
    assert owned == []


def test_without_a_tenant_no_row_is_seen(database: TestDatabase) -> None:
    environment(database, database.create_tenant("acme"))
    with as_role(database, "coffer_secrets", None) as connection:
        assert connection.execute("select * from secrets.environment").fetchall() == []


def test_another_tenants_rows_are_neither_read_nor_written(database: TestDatabase) -> None:
    mine, theirs = database.create_tenant("mine"), database.create_tenant("theirs")
    environment(database, theirs)
    with as_role(database, "coffer_secrets", mine) as connection:
        assert connection.execute("select * from secrets.environment").fetchall() == []
        done = connection.execute("update secrets.environment set display_name = 'x'")
        assert done.rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "insert into secrets.environment (tenant_id, id, name, display_name)"
                " values (%s, %s, 'staging', 'x')",
                (theirs, uuid.uuid4()),
            )


def test_the_tenant_of_one_transaction_does_not_leak_into_the_next(database: TestDatabase) -> None:
    tenant = database.create_tenant("acme")
    environment(database, tenant)
    with as_role(database, "coffer_secrets", tenant) as connection:
        assert len(connection.execute("select * from secrets.environment").fetchall()) == 1
        connection.commit()
        assert connection.execute("select * from secrets.environment").fetchall() == []


@pytest.mark.parametrize(
    ("role", "table"),
    [
        ("coffer_secrets", "kms.master_key"),
        ("coffer_secrets", "kms.binding"),
        ("coffer_secrets", "rewrap.lease"),
        ("coffer_kms", "secrets.value_version"),
        ("coffer_kms", "secrets.data_key"),
        ("coffer_kms", "rewrap.lease"),
        ("coffer_kms", "tenancy.api_key"),
        ("coffer_rewrap", "secrets.value_version"),
        ("coffer_rewrap", "secrets.data_key"),
        ("coffer_rewrap", "kms.master_key"),
        ("coffer_rewrap_dispatch", "secrets.secret"),
        ("coffer_rewrap_dispatch", "rewrap.lease"),
        ("coffer_secrets_purge", "secrets.environment"),
        ("coffer_secrets_purge", "secrets.secret"),
        ("coffer_secrets_purge", "secrets.secret_environment"),
        ("coffer_secrets_purge", "secrets.value_version"),
        ("coffer_secrets_purge", "secrets.data_key"),
        ("coffer_secrets_purge", "tenancy.tenant"),
        ("coffer_cli", "secrets.value_version"),
        ("coffer_cli", "kms.master_key"),
        ("coffer_queue", "rewrap.lease"),
    ],
)
def test_a_service_cannot_read_what_is_not_its_business(
    database: TestDatabase, role: str, table: str
) -> None:
    tenant = database.create_tenant("acme")
    with (
        as_role(database, role, tenant) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"select * from {table}".encode())


@pytest.mark.parametrize("with_tenant", [False, True])
def test_the_purgers_login_sees_what_is_deleted_and_no_more(
    database: TestDatabase, with_tenant: bool
) -> None:
    tenants = [database.create_tenant(slug) for slug in ("one", "two")]
    for tenant in tenants:
        environment(database, tenant)
        for name, deleted in (("LIVE", "null"), ("GONE", "now()")):
            database.execute(
                "insert into secrets.secret (tenant_id, id, name, secret_type,"
                " base_environment_id, created_at, updated_at, deleted_at)"
                f" select tenant_id, gen_random_uuid(), '{name}', 'string', id, now(), now(),"
                f" {deleted} from secrets.environment where tenant_id = %s",
                (tenant,),
            )
        database.execute(
            "insert into secrets.environment (tenant_id, id, name, display_name, closed_at)"
            " values (%s, gen_random_uuid(), 'closed', 'Closed', now())",
            (tenant,),
        )
    role = "coffer_secrets_purge"
    with as_role(database, role, tenants[0] if with_tenant else None) as connection:
        for seen in ("deleted_at from secrets.secret", "closed_at from secrets.environment"):
            rows = connection.execute(f"select tenant_id, {seen}".encode()).fetchall()
            assert {row[0] for row in rows} == set(tenants)  # type: ignore[index]
            assert len(rows) == 2
    for statement in (
        "select name from secrets.secret",
        "delete from secrets.secret",
        "update secrets.secret set deleted_at = null",
        "select from secrets.secret for update",
        "select name from secrets.environment",
        "delete from secrets.environment",
        "update secrets.environment set closed_at = null",
        "select from secrets.environment for update",
        "select * from audit.event",
    ):
        with (
            as_role(database, role, tenants[0]) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_events_are_appended_by_the_function_and_not_by_insert(
    database: TestDatabase, role: str
) -> None:
    tenant = database.create_tenant("acme")
    with (
        as_role(database, role, tenant) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("insert into audit.head values (%s, 1, '')", (tenant,))


def test_functions_across_schemas_run_with_a_fixed_path_and_for_named_roles_only(
    database: TestDatabase,
) -> None:
    rows = database.rows(
        "select p.oid::regprocedure::text, p.proconfig, p.proowner::regrole::text,"
        " has_function_privilege('public', p.oid, 'execute') from pg_proc p"
        " join pg_namespace n on n.oid = p.pronamespace where p.prosecdef"
        " and n.nspname in ('tenancy', 'audit', 'kms', 'secrets', 'rewrap')"
    )
    assert len(rows) >= 9
    for name, config, owner, public in rows:
        assert config == ["search_path=pg_catalog, pg_temp"], name
        assert owner == "coffer_functions", name
        assert not public, name
