"""A certificate's normal form, sealed beside the other fields; and in clear when the certificate expires.

What was stored before has no normal form. When it expires is known from the metadata, which are those of
the base environment's current value; of other values it stays unknown.

The previous release may go on writing: it knows neither column. What it stores has no normal form until it
is stored again. A secret's expiry is derived from its metadata here, whoever writes them. A value's that
comes without one is its secret's if it is the base environment's, the metadata being its own; another
environment's stays unknown: it expires by the secret's own `expires_at` if there is one, else never, though
the certificate may, until it is stored again.
"""

from services.common.migrations.ddl import backfill, index, one_by_one

revision = "0002"
down_revision = "0001"

AT_ONCE = 2_000
"""Rows that one transaction updates."""

# Not a generated column: from text to a moment is no immutable cast, although it is for texts with a zone.
# The metadata show milliseconds; this release gives the same moment to the microsecond, as of the value.
DERIVED = (
    """
    create or replace function secrets.derive_secret_expiry() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    declare
        shown timestamptz := (new.metadata ->> 'expires_at')::timestamptz;
    begin
        if date_trunc('milliseconds', new.certificate_expires_at) is distinct from shown then
            new.certificate_expires_at := shown;
        end if;
        return new;
    end
    $$
    """,
    """
    create or replace trigger derive_expiry before insert or update of metadata on secrets.secret
        for each row when (new.metadata is not null)
        execute function secrets.derive_secret_expiry()
    """,
    # In the statements that store a value its secret is written first, and seen here as written.
    """
    create or replace function secrets.derive_value_expiry() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp as $$
    begin
        new.certificate_expires_at := (
            select s.certificate_expires_at from secrets.secret s
            where s.tenant_id = new.tenant_id and s.id = new.secret_id
              and s.base_environment_id = new.environment_id
        );
        return new;
    end
    $$
    """,
    # This release writes a normal form with every certificate.
    """
    create or replace trigger derive_expiry before insert on secrets.value_version
        for each row when (new.content is not null and new.normal_form is null)
        execute function secrets.derive_value_expiry()
    """,
)


SECRETS = f"""
update secrets.secret set certificate_expires_at = (metadata ->> 'expires_at')::timestamptz
where (tenant_id, id) in (
    select tenant_id, id from secrets.secret
    where certificate_expires_at is null and metadata ->> 'expires_at' is not null
    limit {AT_ONCE})
"""  # noqa: S608 - a constant
VALUES = f"""
update secrets.value_version v set certificate_expires_at = found.expires_at
from (
    select v.tenant_id, v.secret_id, v.environment_id, v.value_version,
        s.certificate_expires_at as expires_at
    from secrets.secret s
    join secrets.secret_environment e on e.tenant_id = s.tenant_id and e.secret_id = s.id
        and e.environment_id = s.base_environment_id
    join secrets.value_version v on v.tenant_id = e.tenant_id and v.secret_id = e.secret_id
        and v.environment_id = e.environment_id and v.value_version = e.value_version
    where s.certificate_expires_at is not null and v.certificate_expires_at is null
    limit {AT_ONCE}) found
where (v.tenant_id, v.secret_id, v.environment_id, v.value_version)
    = (found.tenant_id, found.secret_id, found.environment_id, found.value_version)
"""  # noqa: S608 - a constant


def upgrade() -> None:
    """Add to the schema `secrets`, step by step: nobody waits for a whole table."""
    one_by_one(
        "alter table secrets.value_version add column if not exists normal_form bytea",
        "alter table secrets.value_version drop constraint if exists value_version_check1",
        "alter table secrets.value_version add constraint value_version_check1"
        " check (normal_form is null or content is not null) not valid",
        "alter table secrets.value_version validate constraint value_version_check1",
        "alter table secrets.secret add column if not exists certificate_expires_at timestamptz",
        "alter table secrets.value_version"
        " add column if not exists certificate_expires_at timestamptz",
        # From here on what is written is right; what was there before follows.
        *DERIVED,
    )
    backfill(SECRETS)
    backfill(VALUES)
    # With the tenant first it looked, where nothing is stored yet, as good for finding a value as the
    # primary key: and a plan that was made then goes on to read all values of the tenant.
    index(
        "value_version_data_key",
        "secrets.value_version",
        "(data_key_id, tenant_id)",
        unique=True,
    )
    # What a secret without an expiry of its own expires by is its certificate.
    index(
        "secret_expiry",
        "secrets.secret",
        "(tenant_id, (coalesce(expires_at, certificate_expires_at)), id)"
        " where deleted_at is null and coalesce(expires_at, certificate_expires_at) is not null",
    )
    one_by_one(
        "alter table secrets.value_version"
        " drop constraint if exists value_version_tenant_id_data_key_id_key",
    )
