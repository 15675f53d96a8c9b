"""LR: a rewrap done wholly inside SQL, in batches of 1,000, by one session.

A procedure runs what the product runs for a batch, as the product's own login role with its settings and
under row-level security: it holds the key ring shared (kms.hold_active), finds stale keys by primary key
(kms.retired_versions), writes where the old bytes still are, counts in a lease and moves a lane's cursor by
the text of the product's own rewrap.record_batch, and commits with fsync. The tables are copies with the same
columns, keys, checks, policies and fill, in the same physical order.

What it does not: no crypto (the new 68 bytes are a header, the SHA-256 of the old ones and the rest of the
old ones), nothing leaves the server, reading and writing are one statement, nobody asks for batches.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from services.common.migrations.ddl import TENANT
from services.common.migrations.runner import PLANS

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

TABLE: Final = "benchmark.data_key_sql"
ROLE: Final = "coffer_secrets"

_COPIES: Final = """
drop table if exists benchmark.lane, benchmark.lease;
create table benchmark.lease (like rewrap.lease including all);
create table benchmark.lane (like rewrap.lane including all);
grant usage on schema benchmark to coffer_secrets, coffer_functions;
grant select, insert, update, delete on all tables in schema benchmark to coffer_secrets, coffer_functions;
"""
_ISOLATE: Final = f"""
alter table {{table}} enable row level security;
drop policy if exists tenant on {{table}};
drop policy if exists functions on {{table}};
create policy tenant on {{table}} using (tenant_id = {TENANT}) with check (tenant_id = {TENANT});
create policy functions on {{table}} to coffer_functions using (true) with check (true);
"""
_RECORD: Final = """
select replace(pg_get_functiondef(p.oid), 'rewrap.', 'benchmark.')
from pg_proc p where p.pronamespace = 'rewrap'::regnamespace and p.proname = 'record_batch'
order by p.pronargs desc limit 1
"""
_PROCEDURE: Final = """
create or replace procedure benchmark.rewrap(
    p_tenant uuid, p_version bigint, p_lease bigint, p_batch bigint, inout p_moved bigint)
language plpgsql as $$
declare
    v_after uuid;
    v_from uuid := '00000000-0000-0000-0000-000000000000';
    v_last uuid;
    v_found bigint;
    v_done bigint;
begin
    p_moved := 0;
    loop
        perform set_config('coffer.tenant_id', p_tenant::text, true);
        perform kms.hold_active(p_tenant, p_version);
        with stale as materialized (
            select id, wrapped from benchmark.data_key_sql
            where tenant_id = p_tenant and id > v_from
              and key_version = any ((select kms.retired_versions(p_tenant))::bigint[])
            order by id limit p_batch
        ), moved as (
            update benchmark.data_key_sql d
            set key_version = p_version, wrapped = 'KCT1'::bytea || int4send(p_version::integer)
                || sha256(s.wrapped) || substring(s.wrapped from 41)
            from stale s
            where d.tenant_id = p_tenant and d.id = s.id and d.wrapped = s.wrapped
              and d.key_version = any ((select kms.retired_versions(p_tenant))::bigint[])
            returning 1
        )
        select (select count(*) from stale), (select count(*) from moved),
            (select id from stale order by id desc limit 1)
        into v_found, v_done, v_last;
        perform benchmark.record_batch(p_tenant => p_tenant, p_lease => p_lease, p_fence => 1,
            p_lane => 0::smallint, p_after => v_after,
            p_cursor => coalesce(v_last, 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
            p_finished => v_found < p_batch, p_done => v_done, p_skipped => v_found - v_done,
            p_failed => '{}'::uuid[], p_kms_calls => 0);
        commit;
        p_moved := p_moved + v_done;
        exit when v_found < p_batch;
        v_after := v_last;
        v_from := v_last;
    end loop;
end
$$
"""
_VERSION: Final = """
insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped, check_value, status)
values (%s, %s, gen_random_uuid(), 'global', 'x', sha256(''), 'active')
"""
_LEASE: Final = """
insert into benchmark.lease (tenant_id, reason, target_version, state, fence)
values (%s, 'rotate', %s, 'running', 1) returning id
"""
_LANE: Final = """
insert into benchmark.lane (tenant_id, lease_id, lane, until, fence, held_until)
values (%s, %s, 0, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 1, clock_timestamp() + interval '1 hour')
"""


def tenant_of(tenant_id: UUID) -> UUID:
    """The tenant of the copy: with key versions of its own, which no service knows."""
    return uuid.uuid5(tenant_id, "inside SQL")


def prepare(connection: Connection, tenant_id: UUID) -> None:
    """Make lease, lane and procedure; TABLE must be there. `connection` is a superuser's.

    The copy's tenant gets its version 1.
    """
    connection.execute(_COPIES)
    for table in (TABLE, "benchmark.lease", "benchmark.lane"):
        connection.execute(_ISOLATE.format(table=table).encode())
    row = connection.execute(_RECORD.encode()).fetchone()
    assert row is not None
    connection.execute(row[0])
    connection.execute(
        "do $$ begin execute (select format('alter function %s owner to coffer_functions',"
        " p.oid::regprocedure) from pg_proc p where p.pronamespace = 'benchmark'::regnamespace"
        " and p.proname = 'record_batch'); end $$"
    )
    connection.execute(_PROCEDURE)
    connection.execute(_VERSION.encode(), (tenant_of(tenant_id), 1))


def rewrap(connection: Connection, tenant_id: UUID, target: int, batch: int) -> int:
    """Move every row from version `target - 1` to `target`; returns how many.

    `connection` is a superuser's, in autocommit, and acts as the service's role from then on.
    """
    tenant = tenant_of(tenant_id)
    with connection.transaction():
        connection.execute(
            "update kms.master_key set status = 'retired', retired_at = now()"
            " where tenant_id = %s and status = 'active'",
            (tenant,),
        )
        connection.execute(_VERSION.encode(), (tenant, target))
        lease = connection.execute(_LEASE.encode(), (tenant, target)).fetchone()
        assert lease is not None
        connection.execute(_LANE.encode(), (tenant, lease[0]))
    for setting in PLANS:
        connection.execute(f"set {setting}".encode())
    connection.execute(sql.SQL("set role {}").format(sql.Identifier(ROLE)))
    row = connection.execute(
        "call benchmark.rewrap(%s, %s, %s, %s, null)", (tenant, target, lease[0], batch)
    ).fetchone()
    return int(row[0]) if row else 0
