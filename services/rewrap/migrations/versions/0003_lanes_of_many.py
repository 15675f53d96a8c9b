"""Lanes that many workers hold, steering, verification and reports."""

from services.common.migrations.ddl import as_functions, as_owner, define, idempotency_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add to the schema `rewrap`."""
    as_owner(
        """
        alter table rewrap.lease
            add column census_before jsonb,
            add column census_after jsonb,
            add column verified bigint not null default 0,
            add column kms_calls bigint not null default 0,
            add column throttle_free_at timestamptz,
            add column rate_began_at timestamptz,
            add column rate_began_done bigint,
            add column rate_marked_at timestamptz,
            add column rate_marked_done bigint,
            add column lanes_left integer,
            add column to_verify bigint not null default 0,
            add column verifying_since timestamptz
        """,
        """
        alter table rewrap.lane
            add column kind text not null default 'move' check (kind in ('move', 'verify')),
            add column quota bigint check (quota >= 0),
            add column fence bigint not null default 0,
            add column held_until timestamptz,
            add column troubles integer not null default 0
        """,
        "drop index rewrap.lease_live",
        "create index lease_live on rewrap.lease (state)"
        " where state in ('enqueued', 'running', 'waiting', 'paused')",
    )
    _restrict()
    idempotency_table("rewrap", "coffer_rewrap", "coffer_rewrap")
    define(
        "rewrap.record_batch(p_tenant uuid, p_lease bigint, p_fence bigint, p_lane smallint,"
        " p_after uuid, p_cursor uuid, p_finished boolean, p_done bigint, p_skipped bigint,"
        " p_failed uuid[], p_kms_calls bigint)",
        _RECORD_BATCH,
        callers=("coffer_secrets",),
    )
    as_functions(_RECORD_BATCH_OF_0001, _ISSUE_LEASE)
    define(
        "rewrap.record_verified(p_tenant uuid, p_lease bigint, p_fence bigint, p_lane smallint,"
        " p_after uuid, p_cursor uuid, p_finished boolean, p_verified bigint, p_failed uuid[])",
        _RECORD_VERIFIED,
        callers=("coffer_secrets",),
    )
    define(
        "rewrap.end_pass(p_tenant uuid, p_lease bigint, p_again boolean)",
        _END_OF_LANES,
        callers=("coffer_rewrap",),
    )
    define(
        "rewrap.give_up_lane(p_tenant uuid, p_lease bigint, p_fence bigint, p_lane smallint)",
        _GIVE_UP_LANE,
        callers=("coffer_rewrap",),
    )
    define(
        "rewrap.lease_report(p_tenant uuid, p_lease bigint)", _LEASE_REPORT, callers=("coffer_kms",)
    )


def _restrict() -> None:
    """Who steers writes no count: these come from the functions below, which say what may be counted."""
    steered = ", ".join(_STEERED)
    as_owner(
        "revoke insert, update, delete on rewrap.lease from coffer_rewrap",
        f"grant update ({steered}) on rewrap.lease to coffer_rewrap",
        "revoke insert, update on rewrap.lane from coffer_rewrap",
        "grant insert (tenant_id, lease_id, lane, cursor, until, kind, quota),"
        " update (fence, held_until, troubles) on rewrap.lane to coffer_rewrap",
        "revoke select on rewrap.lease from coffer_rewrap_dispatch",
        "grant select (tenant_id, id, state, next_attempt_at, lanes_left) on rewrap.lease"
        " to coffer_rewrap_dispatch",
        "drop policy rewrap_dispatch on rewrap.lease",
        "create policy rewrap_dispatch on rewrap.lease for select to coffer_rewrap_dispatch"
        " using (finished_at is null)",
    )


_STEERED = (
    "state",
    "total",
    "throttle_per_second",
    "fence",
    "started_at",
    "finished_at",
    "rate_per_second",
    "last_error",
    "attempts",
    "next_attempt_at",
    "census_before",
    "census_after",
    "throttle_free_at",
    "rate_began_at",
    "rate_began_done",
    "rate_marked_at",
    "rate_marked_done",
    "lanes_left",
    "to_verify",
    "verifying_since",
)
# As in 0002. A bound that an administrator set holds for the lease that takes over, too: it is about how much
# the house can bear, not about which version.
_ISSUE_LEASE = """
create or replace function rewrap.issue_lease(p_tenant uuid, p_version bigint, p_reason text)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_id bigint;
    v_superseded jsonb;
    v_throttle bigint;
begin
    perform tenancy.require(p_tenant);
    with superseded as (
        update rewrap.lease l
        set state = 'superseded', finished_at = clock_timestamp(), rate_per_second = null,
            next_attempt_at = null, fence = l.fence + 1
        where l.tenant_id = p_tenant and l.finished_at is null
        returning l.id, l.reason, l.target_version, l.total, l.done, l.skipped, l.failed,
            l.verified, l.kms_calls, l.throttle_per_second
    )
    select jsonb_agg(to_jsonb(s) - 'throttle_per_second' order by s.id),
        (array_agg(s.throttle_per_second order by s.id desc))[1]
    into v_superseded, v_throttle from superseded s;
    insert into rewrap.lease (tenant_id, reason, target_version, throttle_per_second)
    values (p_tenant, p_reason, p_version, v_throttle) returning id into v_id;
    perform pg_notify('coffer_rewrap', p_tenant::text || ':' || v_id::text);
    if v_superseded is not null then
        perform audit.append(p_tenant, (
            select jsonb_agg(jsonb_build_object(
                'action', 'rewrap.superseded', 'resource_type', 'rewrap_lease',
                'resource_id', s ->> 'id', 'actor', 'service:rewrap',
                'details', ((s - 'id') || jsonb_build_object('superseded_by', v_id))::text))
            from jsonb_array_elements(v_superseded) s));
    end if;
    return v_id;
end
$$
"""
# Refused (CF002) for a lease that is not running, and for a lane that is held under another fence, that has
# not been renewed in time, or that has moved on: so a late, repeated or woken-up worker changes nothing, and
# the counters equal what was really done.
_HOLD_LANE = """
    update rewrap.lane n set cursor = p_cursor, finished = p_finished, troubles = 0,
        quota = case when n.quota is not null then greatest(0, n.quota - ({counted})) end
    where n.tenant_id = p_tenant and n.lease_id = p_lease and n.lane = p_lane and n.kind = '{kind}'
      and n.fence = p_fence and n.held_until > clock_timestamp()
      and n.cursor is not distinct from p_after and not n.finished;
    if not found then
        raise exception 'lane % of lease % is not held under fence %, or has moved on',
            p_lane, p_lease, p_fence using errcode = 'CF002';
    end if;
"""
_NOT_RUNNING = """
    if not found then
        raise exception 'lease % is not running', p_lease using errcode = 'CF002';
    end if;
"""
_RECORD_BATCH = f"""
returns void language plpgsql as $$
begin
    perform tenancy.require(p_tenant);
    update rewrap.lease l
    set done = l.done + p_done, skipped = l.skipped + p_skipped,
        failed = l.failed + cardinality(p_failed),
        failed_ids = (l.failed_ids || p_failed)[1:1000],
        kms_calls = l.kms_calls + p_kms_calls,
        lanes_left = l.lanes_left - p_finished::integer,
        progressed_at = clock_timestamp(), attempts = 0, last_error = null
    where l.tenant_id = p_tenant and l.id = p_lease and l.state = 'running';
    {_NOT_RUNNING}
    {_HOLD_LANE.format(kind="move", counted="0")}
end
$$
"""  # noqa: S608 - constants
# The release before this one does not tell of calls.
_RECORD_BATCH_OF_0001 = """
create or replace function rewrap.record_batch(p_tenant uuid, p_lease bigint, p_fence bigint,
    p_lane smallint, p_after uuid, p_cursor uuid, p_finished boolean, p_done bigint, p_skipped bigint,
    p_failed uuid[])
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform rewrap.record_batch(p_tenant, p_lease, p_fence, p_lane, p_after, p_cursor, p_finished,
        p_done, p_skipped, p_failed, 0);
end
$$
"""
# A key that failed to be moved fails here again, and is counted once, as far as the ids are kept.
_RECORD_VERIFIED = f"""
returns void language plpgsql as $$
begin
    perform tenancy.require(p_tenant);
    update rewrap.lease l
    set verified = l.verified + p_verified,
        failed = l.failed
            + (select count(*) from unnest(p_failed) f (id) where f.id <> all (l.failed_ids)),
        failed_ids = (l.failed_ids || array(
            select f.id from unnest(p_failed) f (id) where f.id <> all (l.failed_ids)))[1:1000],
        lanes_left = l.lanes_left - p_finished::integer,
        progressed_at = clock_timestamp(), attempts = 0, last_error = null
    where l.tenant_id = p_tenant and l.id = p_lease and l.state = 'running';
    {_NOT_RUNNING}
    {_HOLD_LANE.format(kind="verify", counted="p_verified + cardinality(p_failed)")}
end
$$
"""  # noqa: S608 - constants
# Once after each time that all lanes that move were gone through; refused (CF002) otherwise. What failed is
# met again in the next pass, so it is counted anew. After the last, each key of the total is in one count:
# what was neither moved nor failed was moved, removed or erased by somebody else, or is stale yet, as the
# census after it tells.
_END_OF_LANES = """
returns bigint language plpgsql as $$
declare
    v_skipped bigint;
begin
    perform tenancy.require(p_tenant);
    update rewrap.lease l
    set passes = l.passes + 1,
        failed = case when p_again then 0 else l.failed end,
        failed_ids = case when p_again then '{}' else l.failed_ids end,
        skipped = case when p_again or l.total is null then l.skipped
            else greatest(0, l.total - l.done - l.failed) end
    where l.tenant_id = p_tenant and l.id = p_lease and l.state = 'running' and l.verified = 0
      and not exists (select from rewrap.lane n where n.tenant_id = p_tenant
                      and n.lease_id = p_lease and (not n.finished or n.kind = 'verify'))
    returning l.skipped into v_skipped;
    if not found then
        raise exception 'lease % is not at the end of a pass', p_lease using errcode = 'CF002';
    end if;
    return v_skipped;
end
$$
"""
# For a lane in which not even one data key can be passed over. It claims nothing to be moved: what is left is
# in the census that ends the lease. Its troubles stay, and tell it from a lane that came to its end.
_GIVE_UP_LANE = """
returns boolean language plpgsql as $$
begin
    perform tenancy.require(p_tenant);
    update rewrap.lease l set lanes_left = l.lanes_left - 1
    where l.tenant_id = p_tenant and l.id = p_lease and l.state = 'running'
      and exists (select from rewrap.lane n where n.tenant_id = p_tenant and n.lease_id = p_lease
                  and n.lane = p_lane and n.fence = p_fence and n.held_until > clock_timestamp()
                  and n.troubles > 0 and not n.finished);
    if not found then
        return false;
    end if;
    update rewrap.lane n set finished = true
    where n.tenant_id = p_tenant and n.lease_id = p_lease and n.lane = p_lane;
    return true;
end
$$
"""
# The row stays locked until kms has stored its report: so there is never a second one.
_LEASE_REPORT = """
returns table (state text, reason text, target_version bigint, total bigint, done bigint, skipped bigint,
    failed bigint, failed_ids uuid[], verified bigint, kms_calls bigint, created_at timestamptz,
    started_at timestamptz, finished_at timestamptz, census_before jsonb, census_after jsonb)
language plpgsql rows 1 as $$
begin
    perform tenancy.require(p_tenant);
    return query
        select l.state, l.reason, l.target_version, l.total, l.done, l.skipped, l.failed, l.failed_ids,
            l.verified, l.kms_calls, l.created_at, l.started_at, l.finished_at, l.census_before,
            l.census_after
        from rewrap.lease l where l.tenant_id = p_tenant and l.id = p_lease for update;
end
$$
"""
