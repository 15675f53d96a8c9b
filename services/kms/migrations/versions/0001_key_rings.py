"""Key rings, KMS bindings, master keys."""

from services.common.migrations.ddl import admit, as_functions, as_owner, define, grant, isolate

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the schema `kms`."""
    as_owner(
        "grant usage on schema kms to coffer_kms, coffer_secrets, coffer_rewrap",
        """
        create table kms.key_ring (
            tenant_id uuid primary key,
            next_version bigint not null default 1 check (next_version between 1 and 4294967296),
            current_binding_id uuid,
            epoch bigint not null default 0
        )
        """,
        """
        create table kms.binding (
            tenant_id uuid not null,
            id uuid not null,
            provider text not null check (provider in ('aws', 'gcp', 'azure')),
            kms_key_ref text not null,
            resolved_key_ref text not null,
            config jsonb not null,
            created_at timestamptz not null default now(),
            replaced_at timestamptz,
            sealed_since timestamptz,
            last_verified_at timestamptz,
            last_verify_error text,
            primary key (tenant_id, id)
        )
        """,
        """
        create table kms.master_key (
            tenant_id uuid not null,
            version bigint not null check (version between 1 and 4294967295),
            id uuid not null,
            wrap_method text not null
                check (wrap_method in ('global', 'operator_kms', 'customer_kms')),
            binding_id uuid,
            wrapped bytea,
            provider_key_version text,
            check_value bytea not null check (length(check_value) = 32),
            status text not null check (status in ('active', 'retired', 'revoked')),
            created_at timestamptz not null default now(),
            retired_at timestamptz,
            revoked_at timestamptz,
            primary key (tenant_id, version),
            unique (tenant_id, id),
            foreign key (tenant_id, binding_id) references kms.binding (tenant_id, id),
            check ((status = 'revoked') = (wrapped is null)),
            check ((wrap_method = 'customer_kms') = (binding_id is not null))
        )
        """,
        "create unique index master_key_one_active on kms.master_key (tenant_id)"
        " where status = 'active'",
        "create index binding_sealed on kms.binding (tenant_id, id)"
        " where sealed_since is not null and replaced_at is null",
    )
    for table in ("kms.key_ring", "kms.binding", "kms.master_key"):
        isolate(table)
        grant(table, "coffer_kms", "select, insert, update")
    admit("kms.master_key", "coffer_functions", "select")
    admit("kms.binding", "coffer_functions", "select")
    _functions()


def _functions() -> None:
    # An advisory lock and not a row lock: FOR SHARE on one hot row writes a multixact for every
    # transaction that stores a value. A collision of the hash only makes strangers wait.
    as_functions(
        """
        create function kms.ring_lock(p_tenant uuid) returns bigint
        language sql immutable set search_path = pg_catalog, pg_temp as $$
            select hashtextextended('coffer/key-ring/' || p_tenant::text, 0)
        $$
        """,
    )
    define(
        "kms.take_ring(p_tenant uuid)",
        """
        returns void language plpgsql as $$
        begin
            perform tenancy.require(p_tenant);
            perform pg_advisory_xact_lock(kms.ring_lock(p_tenant));
        end
        $$
        """,
        callers=("coffer_kms",),
    )
    # The look at the version comes in a statement of its own, after the lock: READ COMMITTED gives it
    # a snapshot that sees what the lock's last holder committed.
    define(
        "kms.hold_active(p_tenant uuid, p_version bigint)",
        """
        returns void language plpgsql as $$
        begin
            perform tenancy.require(p_tenant);
            perform pg_advisory_xact_lock_shared(kms.ring_lock(p_tenant));
            if not exists (select from kms.master_key k where k.tenant_id = p_tenant
                           and k.version = p_version and k.status = 'active') then
                raise exception 'key version % is not active', p_version using errcode = 'CF001';
            end if;
        end
        $$
        """,
        callers=("coffer_secrets",),
    )
    define(
        "kms.retired_versions(p_tenant uuid)",
        """
        returns bigint[] language plpgsql stable as $$
        begin
            perform tenancy.require(p_tenant);
            return coalesce((select array_agg(k.version order by k.version) from kms.master_key k
                where k.tenant_id = p_tenant and k.status = 'retired'), '{}');
        end
        $$
        """,
        callers=("coffer_secrets", "coffer_rewrap"),
    )
    # Looks across tenants, which the role coffer_kms itself cannot: a sealed binding is tried again every
    # 30 s, also after all processes were restarted and before anybody asks for its tenant. It gives ids and
    # a version only; everything else is read as that tenant. Any of them are taken, so that beyond the limit
    # each gets its chance.
    define(
        "kms.sealed_bindings(p_limit integer)",
        """
        returns table (tenant_id uuid, binding_id uuid, version bigint)
        language sql volatile rows 100 as $$
            select b.tenant_id, b.id, newest.version from kms.binding b
            cross join lateral (
                select max(k.version) as version from kms.master_key k
                where k.tenant_id = b.tenant_id and k.binding_id = b.id and k.status <> 'revoked'
            ) newest
            where b.sealed_since is not null and b.replaced_at is null
              and newest.version is not null
            order by random() limit least(p_limit, 10000)
        $$
        """,
        callers=("coffer_kms",),
    )
