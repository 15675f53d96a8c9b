"""Tenants, plans, API keys, grants, used step-up tokens; the audit chain."""

from services.common.migrations.ddl import admit, as_functions, as_owner, define, grant, isolate

revision = "0001"
down_revision = None

READERS = ("coffer_kms", "coffer_secrets", "coffer_rewrap")


def upgrade() -> None:
    """Make the schemas `tenancy` and `audit`."""
    roles = ", ".join((*READERS, "coffer_rewrap_dispatch", "coffer_cli"))
    as_owner(
        f"grant usage on schema tenancy to {roles}",
        f"grant usage on schema audit to {roles}",
    )
    _tenants()
    _api_keys()
    _grants()
    _step_up()
    _audit()


def _tenants() -> None:
    as_owner(
        """
        create table tenancy.plan (
            name text primary key check (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
            max_secrets bigint check (max_secrets >= 0)
        )
        """,
        "insert into tenancy.plan (name, max_secrets) values"
        " ('starter', 25), ('pro', 1000), ('enterprise', null)",
        """
        create table tenancy.tenant (
            tenant_id uuid primary key,
            slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
            name text not null check (length(name) between 1 and 200),
            region text not null default 'local',
            plan text not null references tenancy.plan (name),
            status text not null default 'active' check (status in ('active', 'suspended')),
            created_at timestamptz not null default now()
        )
        """,
    )
    isolate("tenancy.tenant")
    grant("tenancy.plan", "coffer_functions", "select")
    grant("tenancy.plan", "coffer_cli", "select, insert, update")
    grant("tenancy.plan", "coffer_secrets", "select")
    grant("tenancy.tenant", "coffer_secrets", "select")
    admit("tenancy.tenant", "coffer_functions", "select")
    admit("tenancy.tenant", "coffer_cli", "select, insert, update")
    define(
        "tenancy.tenant(p_tenant uuid)",
        """
        returns table (tenant_id uuid, slug text, name text, region text, plan text, status text,
                       max_secrets bigint, created_at timestamptz)
        language sql stable as $$
            select t.tenant_id, t.slug, t.name, t.region, t.plan, t.status, p.max_secrets, t.created_at
            from tenancy.tenant t join tenancy.plan p on p.name = t.plan
            where t.tenant_id = p_tenant
        $$
        """,
        callers=READERS,
    )
    # What acts across schemas acts for the transaction's tenant only, whatever it was handed.
    as_functions(
        """
        create function tenancy.require(p_tenant uuid) returns void
        language plpgsql stable set search_path = pg_catalog, pg_temp as $$
        begin
            if p_tenant is distinct from
               nullif(current_setting('coffer.tenant_id', true), '')::uuid then
                raise exception 'not the tenant of this transaction' using errcode = 'CF003';
            end if;
        end
        $$
        """,
    )


def _api_keys() -> None:
    as_owner(
        """
        create table tenancy.api_key (
            tenant_id uuid not null references tenancy.tenant (tenant_id),
            id uuid not null,
            key_id text not null,
            key_prefix text not null,
            sha256 bytea not null unique check (length(sha256) = 32),
            name text not null check (length(name) between 1 and 200),
            scopes text[] not null,
            expires_at timestamptz,
            revoked_at timestamptz,
            last_used_at timestamptz,
            created_at timestamptz not null default now(),
            primary key (tenant_id, id),
            unique (tenant_id, key_id)
        )
        """,
    )
    isolate("tenancy.api_key")
    grant("tenancy.api_key", "coffer_secrets", "select, insert, update")
    admit("tenancy.api_key", "coffer_cli", "select, insert, update")
    admit("tenancy.api_key", "coffer_functions", "select")
    # The only look-up that starts without a tenant: it finds out which one.
    define(
        "tenancy.find_api_key(p_sha256 bytea)",
        """
        returns table (tenant_id uuid, id uuid, key_id text, scopes text[])
        language sql stable as $$
            select k.tenant_id, k.id, k.key_id, k.scopes
            from tenancy.api_key k join tenancy.tenant t on t.tenant_id = k.tenant_id
            where k.sha256 = p_sha256
              and k.revoked_at is null
              and (k.expires_at is null or k.expires_at > clock_timestamp())
              and t.status = 'active'
        $$
        """,
        callers=("coffer_secrets",),
    )


def _grants() -> None:
    as_owner(
        """
        create table tenancy.consumer_grant (
            tenant_id uuid not null references tenancy.tenant (tenant_id),
            id uuid not null,
            consumer text not null check (consumer ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
            collection_ids uuid[],
            environment_names text[],
            created_at timestamptz not null default now(),
            primary key (tenant_id, id)
        )
        """,
        "create index consumer_grant_by_consumer on tenancy.consumer_grant (tenant_id, consumer)",
    )
    isolate("tenancy.consumer_grant")
    grant("tenancy.consumer_grant", "coffer_secrets", "select")
    admit("tenancy.consumer_grant", "coffer_cli", "select, insert, delete")


def _step_up() -> None:
    as_owner(
        """
        create table tenancy.step_up_use (
            tenant_id uuid not null,
            jti text not null check (length(jti) between 1 and 200),
            expires_at timestamptz not null,
            primary key (tenant_id, jti)
        )
        """,
    )
    isolate("tenancy.step_up_use")
    admit("tenancy.step_up_use", "coffer_functions", "select, insert, delete")
    # True the first time, false for ever after. Rows past their token's life are swept on the way.
    define(
        "tenancy.consume_step_up(p_tenant uuid, p_jti text, p_expires_at timestamptz)",
        """
        returns boolean language plpgsql as $$
        begin
            perform tenancy.require(p_tenant);
            delete from tenancy.step_up_use u
            where u.tenant_id = p_tenant and u.expires_at < clock_timestamp() - interval '1 hour';
            insert into tenancy.step_up_use (tenant_id, jti, expires_at)
            values (p_tenant, p_jti, p_expires_at) on conflict do nothing;
            return found;
        end
        $$
        """,
        callers=READERS,
    )


def _audit() -> None:
    as_owner(
        """
        create table audit.head (
            tenant_id uuid primary key,
            seq bigint not null,
            hash bytea not null
        )
        """,
        """
        create table audit.event (
            tenant_id uuid not null,
            seq bigint not null check (seq >= 1),
            id uuid not null,
            action text not null,
            resource_type text not null,
            resource_id text,
            actor text not null,
            details text not null,
            ip_address text,
            request_id text,
            created_at timestamptz not null,
            previous_hash bytea not null,
            hash bytea not null,
            primary key (tenant_id, seq)
        )
        """,
    )
    isolate("audit.head")
    isolate("audit.event")
    as_functions(
        """
        create function audit.refuse() returns trigger
        language plpgsql set search_path = pg_catalog, pg_temp as $$
        begin
            raise exception 'audit events are never changed or removed' using errcode = 'CF004';
        end
        $$
        """,
        """
        create function audit.field(p_text text) returns bytea
        language sql immutable set search_path = pg_catalog, pg_temp as $$
            select case when p_text is null then int4send(-1)
                   else int4send(octet_length(convert_to(p_text, 'UTF8')))
                        || convert_to(p_text, 'UTF8') end
        $$
        """,
        "grant execute on function audit.refuse() to coffer_owner",
    )
    as_owner(
        "create trigger never_changed before update or delete on audit.event"
        " for each row execute function audit.refuse()",
        "create trigger never_emptied before truncate on audit.event"
        " for each statement execute function audit.refuse()",
    )
    admit("audit.head", "coffer_functions", "select, insert, update")
    admit("audit.event", "coffer_functions", "select, insert")
    for role in READERS:
        grant("audit.event", role, "select")
        grant("audit.head", role, "select")
    admit("audit.event", "coffer_cli", "select")
    admit("audit.head", "coffer_cli", "select")
    define("audit.append(p_tenant uuid, p_events jsonb)", _APPEND, callers=(*READERS, "coffer_cli"))


# hash = SHA-256 over `CAE1`, the previous hash, and each field as a 4-byte big-endian length and
# UTF-8 bytes (length -1: null), in the order below; time in microseconds since 1970 as decimal text.
_APPEND = """
returns bigint language plpgsql as $$
declare
    v_seq bigint;
    v_hash bytea;
    v_event jsonb;
    v_id uuid;
    v_at timestamptz;
    v_previous bytea;
begin
    perform tenancy.require(p_tenant);
    insert into audit.head (tenant_id, seq, hash) values (p_tenant, 0, sha256('CAE1'))
    on conflict do nothing;
    select h.seq, h.hash into v_seq, v_hash from audit.head h
    where h.tenant_id = p_tenant for update;
    for v_event in select value from jsonb_array_elements(p_events) loop
        v_seq := v_seq + 1;
        v_id := gen_random_uuid();
        v_at := clock_timestamp();
        v_previous := v_hash;
        v_hash := sha256('CAE1'::bytea || v_previous
            || audit.field(p_tenant::text) || audit.field(v_seq::text) || audit.field(v_id::text)
            || audit.field(v_event ->> 'action') || audit.field(v_event ->> 'resource_type')
            || audit.field(v_event ->> 'resource_id') || audit.field(v_event ->> 'actor')
            || audit.field(v_event ->> 'details') || audit.field(v_event ->> 'ip_address')
            || audit.field(v_event ->> 'request_id')
            || audit.field((extract(epoch from v_at) * 1000000)::bigint::text));
        insert into audit.event (tenant_id, seq, id, action, resource_type, resource_id, actor,
            details, ip_address, request_id, created_at, previous_hash, hash)
        values (p_tenant, v_seq, v_id, v_event ->> 'action', v_event ->> 'resource_type',
            v_event ->> 'resource_id', v_event ->> 'actor', v_event ->> 'details',
            v_event ->> 'ip_address', v_event ->> 'request_id', v_at, v_previous, v_hash);
    end loop;
    update audit.head h set seq = v_seq, hash = v_hash where h.tenant_id = p_tenant;
    return v_seq;
end
$$
"""
