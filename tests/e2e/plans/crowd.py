"""Many tenants like one, so that tables are large and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

TENANTS: Final = 400
_TABLES = """
select format('%I.%I', n.nspname, c.relname) from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
where c.relkind = 'r' and n.nspname in ('tenancy', 'audit', 'kms', 'secrets', 'rewrap')
"""
_OTHERS = """
create temporary table other as
select md5('crowd' || n)::uuid as tenant_id, 'crowd-' || n as slug,
    '\\x' || encode(sha256(('crowd' || n)::bytea), 'hex') as sha256
from generate_series(1, {tenants}) n
"""
_COPY = """
insert into {table} overriding system value
select (jsonb_populate_record(null::{table}, to_jsonb(x) || to_jsonb(o))).*
from {table} x cross join other o where x.tenant_id = %s
"""
"""Names that are unique over all tenants (slug, sha256) come from `other`; elsewhere they are no columns."""


def settle_among(stack: RunningStack, like: TenantUser) -> None:
    """Give every row of a tenant to many others, and let the database count what it has.

    The others are no real tenants: what is theirs opens for nobody.
    """
    with psycopg.connect(stack.stack.admin_dsn) as connection:
        # No foreign keys and no triggers: the rows come in any order.
        connection.execute("set session_replication_role = replica")
        connection.execute(_OTHERS.format(tenants=TENANTS).encode())
        for (table,) in connection.execute(_TABLES.encode()).fetchall():
            connection.execute(_COPY.format(table=table).encode(), (like.id,))
    with psycopg.connect(stack.stack.admin_dsn, autocommit=True) as connection:
        connection.execute("analyze")
