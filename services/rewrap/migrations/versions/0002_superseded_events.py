"""Tell in the audit chain which leases a newer one superseded."""

from services.common.migrations.ddl import as_functions

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make `rewrap.issue_lease` anew; who may call it stays as it was."""
    as_functions(_ISSUE_LEASE)


# The caller's own event follows: audit heads come last in the order of locks, and no lock is taken between.
_ISSUE_LEASE = """
create or replace function rewrap.issue_lease(p_tenant uuid, p_version bigint, p_reason text)
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_id bigint;
    v_superseded jsonb;
begin
    perform tenancy.require(p_tenant);
    with superseded as (
        update rewrap.lease l
        set state = 'superseded', finished_at = clock_timestamp(), rate_per_second = null,
            next_attempt_at = null, fence = l.fence + 1
        where l.tenant_id = p_tenant and l.finished_at is null
        returning l.id, l.reason, l.target_version, l.total, l.done, l.skipped, l.failed
    )
    select jsonb_agg(to_jsonb(s) order by s.id) into v_superseded from superseded s;
    insert into rewrap.lease (tenant_id, reason, target_version)
    values (p_tenant, p_reason, p_version) returning id into v_id;
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
