"""Rewrap leases and their lanes."""

from services.common.migrations.ddl import admit, as_owner, define, grant, isolate

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the schema `rewrap`."""
    as_owner(
        "grant usage on schema rewrap to coffer_rewrap, coffer_rewrap_dispatch, coffer_kms,"
        " coffer_secrets",
        """
        create table rewrap.lease (
            tenant_id uuid not null,
            id bigint generated always as identity,
            state text not null default 'enqueued' check (state in ('enqueued', 'running', 'paused',
                'waiting', 'completed', 'failed', 'superseded', 'cancelled')),
            reason text not null check (reason in ('onboard', 'rotate', 'offboard', 'manual')),
            target_version bigint not null,
            total bigint,
            done bigint not null default 0,
            skipped bigint not null default 0,
            failed bigint not null default 0,
            failed_ids uuid[] not null default '{}',
            throttle_per_second bigint check (throttle_per_second >= 1),
            fence bigint not null default 0,
            created_at timestamptz not null default clock_timestamp(),
            started_at timestamptz,
            progressed_at timestamptz,
            finished_at timestamptz,
            rate_per_second double precision,
            last_error text,
            attempts integer not null default 0,
            next_attempt_at timestamptz,
            passes integer not null default 0,
            primary key (tenant_id, id),
            check ((finished_at is null) = (state in ('enqueued', 'running', 'paused', 'waiting')))
        )
        """,
        "create index lease_live on rewrap.lease (state)"
        " where state in ('enqueued', 'running', 'waiting')",
        """
        create table rewrap.lane (
            tenant_id uuid not null,
            lease_id bigint not null,
            lane smallint not null,
            cursor uuid,
            until uuid not null,
            finished boolean not null default false,
            primary key (tenant_id, lease_id, lane),
            foreign key (tenant_id, lease_id) references rewrap.lease (tenant_id, id)
        )
        """,
    )
    for table in ("rewrap.lease", "rewrap.lane"):
        isolate(table)
        grant(table, "coffer_rewrap", "select, insert, update, delete")
        admit(table, "coffer_functions", "select, insert, update")
    admit("rewrap.lease", "coffer_rewrap_dispatch", "select")
    define(
        "rewrap.issue_lease(p_tenant uuid, p_version bigint, p_reason text)",
        _ISSUE_LEASE,
        callers=("coffer_kms", "coffer_rewrap"),
    )
    define(
        "rewrap.record_batch(p_tenant uuid, p_lease bigint, p_fence bigint, p_lane smallint,"
        " p_after uuid, p_cursor uuid, p_finished boolean, p_done bigint, p_skipped bigint,"
        " p_failed uuid[])",
        _RECORD_BATCH,
        callers=("coffer_secrets",),
    )


_ISSUE_LEASE = """
returns bigint language plpgsql as $$
declare
    v_id bigint;
begin
    perform tenancy.require(p_tenant);
    update rewrap.lease l
    set state = 'superseded', finished_at = clock_timestamp(), rate_per_second = null,
        next_attempt_at = null, fence = l.fence + 1
    where l.tenant_id = p_tenant and l.finished_at is null;
    insert into rewrap.lease (tenant_id, reason, target_version)
    values (p_tenant, p_reason, p_version) returning id into v_id;
    perform pg_notify('coffer_rewrap', p_tenant::text || ':' || v_id::text);
    return v_id;
end
$$
"""

# Refused (CF002) for a wrong fence, a lease that is not running, or a lane that has moved on: so a
# late or repeated batch changes nothing, and the counters equal what was really done.
_RECORD_BATCH = """
returns void language plpgsql as $$
begin
    perform tenancy.require(p_tenant);
    update rewrap.lease l
    set done = l.done + p_done, skipped = l.skipped + p_skipped,
        failed = l.failed + cardinality(p_failed),
        failed_ids = (l.failed_ids || p_failed)[1:1000],
        progressed_at = clock_timestamp(), attempts = 0, last_error = null
    where l.tenant_id = p_tenant and l.id = p_lease and l.fence = p_fence and l.state = 'running';
    if not found then
        raise exception 'lease % is not running under fence %', p_lease, p_fence
            using errcode = 'CF002';
    end if;
    update rewrap.lane n set cursor = p_cursor, finished = p_finished
    where n.tenant_id = p_tenant and n.lease_id = p_lease and n.lane = p_lane
      and n.cursor is not distinct from p_after and not n.finished;
    if not found then
        raise exception 'lane % of lease % has moved on', p_lane, p_lease using errcode = 'CF002';
    end if;
end
$$
"""
