"""What would keep the schema from being spread over machines by tenant, or make one pay for another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fixtures.database import TestDatabase

OURS = "('tenancy', 'audit', 'kms', 'secrets', 'rewrap')"
WITHOUT_TENANT = {
    "tenancy.tenant_slug_key": "names of tenants are those of all",
    "tenancy.api_key_sha256_key": "finds out whose key it is",
}
"""Uniqueness over all tenants, of tables that are to be on every machine."""
NOT_FIRST = {
    "secrets.value_version_data_key": "why is with the index, in secrets' migration 0002",
}
OF_ALL_TENANTS = ("tenancy.plan",)
"""Tables without a tenant; those of schema revisions besides."""


def rows(database: TestDatabase, query: str) -> list[tuple[Any, ...]]:
    return database.rows(query.format(ours=OURS))


def test_every_unique_index_begins_with_the_tenant(database: TestDatabase) -> None:
    """Primary keys too. A constraint can be held on one machine only if it is one tenant's."""
    found = rows(
        database,
        "select n.nspname || '.' || c.relname,"
        " array(select a.attname from unnest(i.indkey::smallint[]) with ordinality k (attnum, n)"
        "   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum order by k.n)"
        " from pg_index i join pg_class c on c.oid = i.indexrelid"
        " join pg_namespace n on n.oid = c.relnamespace"
        " join pg_attribute t on t.attrelid = i.indrelid and t.attname = 'tenant_id'"
        " where i.indisunique and n.nspname in {ours}",
    )
    assert len(found) >= 20
    columns = dict(found)
    not_first = {name for name, names in columns.items() if names[0] != "tenant_id"}
    assert not_first == {*WITHOUT_TENANT, *NOT_FIRST}
    assert all("tenant_id" in columns[name] for name in NOT_FIRST)


def test_every_foreign_key_stays_with_its_tenant(database: TestDatabase) -> None:
    found = rows(
        database,
        "select k.conrelid::regclass || '.' || k.conname, k.confrelid::regclass::text,"
        " (select a.attname from pg_attribute a where a.attrelid = k.conrelid"
        "   and a.attnum = k.conkey[1]),"
        " (select a.attname from pg_attribute a where a.attrelid = k.confrelid"
        "   and a.attnum = k.confkey[1])"
        " from pg_constraint k join pg_namespace n on n.oid = k.connamespace"
        " where k.contype = 'f' and n.nspname in {ours}",
    )
    assert len(found) >= 10
    for name, to, mine, theirs in found:
        assert (mine, theirs) == ("tenant_id", "tenant_id") or to in OF_ALL_TENANTS, name


def test_no_table_of_ours_is_without_a_tenant(database: TestDatabase) -> None:
    found = rows(
        database,
        "select n.nspname || '.' || c.relname from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p') and n.nspname in {ours} and not exists (select from"
        " pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')",
    )
    names = {name for (name,) in found if not name.endswith(".schema_revision")}
    assert names == set(OF_ALL_TENANTS)


def test_no_sequence_is_asked_where_many_write(database: TestDatabase) -> None:
    """A number for all tenants is one place that all wait for; leases are few."""
    found = rows(
        database,
        "select n.nspname || '.' || c.relname from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind = 'S' and n.nspname in {ours}",
    )
    assert {name for (name,) in found} == {"rewrap.lease_id_seq"}
