"""Environments, collections, secrets, their values and the data keys."""

from services.common.migrations.ddl import admit, as_owner, define, grant, isolate

revision = "0001"
down_revision = None

TABLES = (
    "environment",
    "collection",
    "usage",
    "secret",
    "secret_environment",
    "data_key",
    "value_version",
)


def upgrade() -> None:
    """Make the schema `secrets`."""
    as_owner("grant usage on schema secrets to coffer_secrets, coffer_kms, coffer_rewrap")
    _groups()
    _secrets()
    _values()
    for table in TABLES:
        isolate(f"secrets.{table}")
        grant(f"secrets.{table}", "coffer_secrets", "select, insert, update, delete")
    admit("secrets.data_key", "coffer_functions", "select")
    # Keys under a revoked version are gone: they are neither work nor census.
    define(
        "secrets.census(p_tenant uuid)",
        """
        returns table (key_version bigint, data_keys bigint) language plpgsql stable as $$
        begin
            perform tenancy.require(p_tenant);
            return query
                select d.key_version, count(*) from secrets.data_key d
                where d.tenant_id = p_tenant
                  and not exists (select from kms.master_key k where k.tenant_id = p_tenant
                                  and k.version = d.key_version and k.status = 'revoked')
                group by d.key_version;
        end
        $$
        """,
        callers=("coffer_kms", "coffer_rewrap", "coffer_secrets"),
    )


def _groups() -> None:
    as_owner(
        """
        create table secrets.environment (
            tenant_id uuid not null,
            id uuid not null,
            name text not null check (name ~ '^[a-z0-9_-]{1,64}$'),
            display_name text not null,
            description text,
            color text,
            is_default boolean not null default false,
            created_at timestamptz not null default now(),
            primary key (tenant_id, id),
            unique (tenant_id, name)
        )
        """,
        "create unique index environment_one_default on secrets.environment (tenant_id)"
        " where is_default",
        """
        create table secrets.collection (
            tenant_id uuid not null,
            id uuid not null,
            name text not null,
            description text,
            created_at timestamptz not null default now(),
            primary key (tenant_id, id),
            unique (tenant_id, name)
        )
        """,
        # How many secrets live: the row that makes the plan limit hold between concurrent creates.
        """
        create table secrets.usage (
            tenant_id uuid primary key,
            live_secrets bigint not null default 0 check (live_secrets >= 0)
        )
        """,
    )


def _secrets() -> None:
    as_owner(
        """
        create table secrets.secret (
            tenant_id uuid not null,
            id uuid not null,
            name text collate "C" not null check (name ~ '^[A-Za-z0-9_.-]{1,128}$'),
            description text,
            secret_type text not null check (secret_type in ('string', 'certificate')),
            certificate_type text,
            metadata jsonb,
            base_environment_id uuid not null,
            collection_id uuid,
            expires_at timestamptz,
            strict_expiry_enforcement boolean not null default false,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            deleted_at timestamptz,
            primary key (tenant_id, id),
            foreign key (tenant_id, base_environment_id)
                references secrets.environment (tenant_id, id),
            foreign key (tenant_id, collection_id) references secrets.collection (tenant_id, id),
            check ((secret_type = 'certificate') = (certificate_type is not null)),
            check ((secret_type = 'certificate') = (metadata is not null))
        )
        """,
        "create unique index secret_live_name on secrets.secret (tenant_id, name)"
        " where deleted_at is null",
        # The version counter outlives the values: it never goes back and never repeats.
        """
        create table secrets.secret_environment (
            tenant_id uuid not null,
            secret_id uuid not null,
            environment_id uuid not null,
            value_version bigint not null check (value_version >= 1),
            updated_at timestamptz not null,
            expires_at_override timestamptz,
            deleted_at timestamptz,
            primary key (tenant_id, secret_id, environment_id),
            foreign key (tenant_id, secret_id) references secrets.secret (tenant_id, id),
            foreign key (tenant_id, environment_id)
                references secrets.environment (tenant_id, id)
        )
        """,
    )


def _values() -> None:
    as_owner(
        # Narrow, half-filled pages and no index but the key: a rewrap updates each row in its page.
        """
        create table secrets.data_key (
            tenant_id uuid not null,
            id uuid not null,
            key_version bigint not null,
            wrapped bytea not null check (length(wrapped) = 68),
            primary key (tenant_id, id)
        ) with (fillfactor = 50)
        """,
        # Each field is sealed by itself under the value's data key.
        """
        create table secrets.value_version (
            tenant_id uuid not null,
            secret_id uuid not null,
            environment_id uuid not null,
            value_version bigint not null check (value_version >= 1),
            data_key_id uuid not null,
            certificate_type text,
            value bytea,
            content bytea,
            private_key bytea,
            passphrase bytea,
            created_at timestamptz not null,
            primary key (tenant_id, secret_id, environment_id, value_version),
            unique (tenant_id, data_key_id),
            foreign key (tenant_id, secret_id, environment_id)
                references secrets.secret_environment (tenant_id, secret_id, environment_id),
            foreign key (tenant_id, data_key_id) references secrets.data_key (tenant_id, id),
            check ((value is null) <> (content is null))
        )
        """,
    )
