"""Many tenants like one, and far more that are small, so that tables are large and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

TENANTS: Final = 400
SMALL: Final = 4_000
"""With one row in each table: the plan for all takes every tenant for nearly as small."""
_TABLES = """
select format('%I.%I', n.nspname, c.relname) from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
where c.relkind = 'r' and n.nspname in ('tenancy', 'audit', 'kms', 'secrets', 'rewrap')
"""
_OTHERS = """
create temporary table other as
select n <= {tenants} as whole, md5('crowd' || n)::uuid as tenant_id, 'crowd-' || n as slug,
    '\\x' || encode(sha256(('crowd' || n)::bytea), 'hex') as sha256
from generate_series(1, {tenants} + {small}) n
"""
_COPY = """
insert into {table} overriding system value
select (jsonb_populate_record(null::{table}, to_jsonb(x) || to_jsonb(o))).*
from (select *, row_number() over () = 1 as is_first from {table} where tenant_id = %s) x
join other o on o.whole or x.is_first
"""
"""Names that are unique over all tenants (slug, sha256) come from `other`; elsewhere they are no columns."""


def settle_among(stack: RunningStack, like: TenantUser) -> None:
    """Give every row of a tenant to many others, the first to many more; the database counts what it has.

    The others are no real tenants: what is theirs opens for nobody.
    """
    with psycopg.connect(stack.stack.admin_dsn) as connection:
        # No foreign keys and no triggers: the rows come in any order.
        connection.execute("set session_replication_role = replica")
        connection.execute(_OTHERS.format(tenants=TENANTS, small=SMALL).encode())
        for (table,) in connection.execute(_TABLES.encode()).fetchall():
            connection.execute(_COPY.format(table=table).encode(), (like.id,))
    with psycopg.connect(stack.stack.admin_dsn, autocommit=True) as connection:
        connection.execute("analyze")
