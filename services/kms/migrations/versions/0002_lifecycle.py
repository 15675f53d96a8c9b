"""Draining, receipts, the platform's own rekeying; and that each ring has exactly one active version."""

from services.common.migrations.ddl import admit, as_functions, as_owner, define, grant, isolate

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add to the schema `kms`."""
    as_owner(
        "alter table kms.key_ring add column draining boolean not null default false",
        "alter table kms.key_ring add check (not draining or current_binding_id is not null)",
        "create index key_ring_draining on kms.key_ring (tenant_id) where draining",
        "create index master_key_platform on kms.master_key (tenant_id, version)"
        " where binding_id is null and status <> 'revoked'",
        """
        create table kms.receipt (
            tenant_id uuid not null,
            version bigint not null,
            key_id uuid not null,
            jws text not null,
            created_at timestamptz not null default clock_timestamp(),
            primary key (tenant_id, version),
            foreign key (tenant_id, version) references kms.master_key (tenant_id, version)
        )
        """,
    )
    isolate("kms.receipt")
    grant("kms.receipt", "coffer_kms", "select, insert")
    admit("kms.key_ring", "coffer_functions", "select")
    _one_active()
    _no_way_back()
    _across_tenants()


# A ring that has versions has an active one whenever a transaction ends; the unique index
# master_key_one_active says that it never has two.
def _one_active() -> None:
    as_functions(
        """
        create function kms.require_active() returns trigger
        language plpgsql set search_path = pg_catalog, pg_temp as $$
        begin
            if not exists (select from kms.master_key k
                           where k.tenant_id = new.tenant_id and k.status = 'active') then
                raise exception 'the key ring would have no active version'
                    using errcode = 'integrity_constraint_violation';
            end if;
            return null;
        end
        $$
        """,
        "grant execute on function kms.require_active() to coffer_owner",
    )
    as_owner(
        "create constraint trigger master_key_has_active"
        " after insert or update of status on kms.master_key deferrable initially deferred"
        " for each row execute function kms.require_active()",
    )


# What a version is never changes, nor does a state go back; a revoked one gets no bytes again, and
# version numbers are not used twice.
def _no_way_back() -> None:
    as_functions(
        """
        create function kms.refuse_way_back() returns trigger
        language plpgsql set search_path = pg_catalog, pg_temp as $$
        begin
            if (new.tenant_id, new.version, new.id, new.binding_id, new.check_value, new.created_at)
               is distinct from
               (old.tenant_id, old.version, old.id, old.binding_id, old.check_value, old.created_at)
               or array_position(array['active', 'retired', 'revoked'], new.status)
                  < array_position(array['active', 'retired', 'revoked'], old.status) then
                raise exception 'a key version does not change so'
                    using errcode = 'integrity_constraint_violation';
            end if;
            return new;
        end
        $$
        """,
        """
        create function kms.refuse_reuse() returns trigger
        language plpgsql set search_path = pg_catalog, pg_temp as $$
        begin
            if new.tenant_id <> old.tenant_id or new.next_version < old.next_version
               or new.epoch < old.epoch then
                raise exception 'a key ring does not go back'
                    using errcode = 'integrity_constraint_violation';
            end if;
            return new;
        end
        $$
        """,
        "grant execute on function kms.refuse_way_back() to coffer_owner",
        "grant execute on function kms.refuse_reuse() to coffer_owner",
    )
    as_owner(
        "create trigger master_key_no_way_back before update on kms.master_key"
        " for each row execute function kms.refuse_way_back()",
        "create trigger key_ring_no_way_back before update on kms.key_ring"
        " for each row execute function kms.refuse_reuse()",
    )


# Ids only; everything else is read and written as that tenant.
def _across_tenants() -> None:
    define(
        "kms.draining_rings(p_limit integer)",
        """
        returns setof uuid language sql volatile rows 100 as $$
            select r.tenant_id from kms.key_ring r where r.draining
            order by random() limit least(p_limit, 10000)
        $$
        """,
        callers=("coffer_kms",),
    )
    define(
        "kms.platform_keys(p_tenant uuid, p_version bigint, p_limit integer)",
        """
        returns table (tenant_id uuid, version bigint) language sql stable rows 1000 as $$
            select k.tenant_id, k.version from kms.master_key k
            where k.binding_id is null and k.status <> 'revoked'
              and (k.tenant_id, k.version) > (p_tenant, p_version)
            order by k.tenant_id, k.version limit least(p_limit, 1000)
        $$
        """,
        callers=("coffer_kms",),
    )
    define(
        "kms.count_platform_keys()",
        """
        returns bigint language sql stable as $$
            select count(*) from kms.master_key k
            where k.binding_id is null and k.status <> 'revoked'
        $$
        """,
        callers=("coffer_kms",),
    )
