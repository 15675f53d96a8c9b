"""A certificate's normal form, sealed beside the other fields; and in clear when the certificate expires.

What was stored before has no normal form. When it expires is known from the metadata, which are those of
the base environment's current value; of other values it stays unknown.

The previous release may go on writing: it knows neither column. What it stores has no normal form until it
is stored again. A secret's expiry is derived from its metadata here, whoever writes them. A value's that
comes without one is its secret's if it is the base environment's, the metadata being its own; another
environment's stays unknown: it expires by the secret's own `expires_at` if there is one, else never, though
the certificate may, until it is stored again.
"""

from services.common.migrations.ddl import as_owner

revision = "0002"
down_revision = "0001"

WIDENED = ("secrets.secret", "secrets.value_version")
READ = (*WIDENED, "secrets.secret_environment")


# Not a generated column: from text to a moment is no immutable cast, although it is for texts with a zone.
# The metadata show milliseconds; this release gives the same moment to the microsecond, as of the value.
DERIVED = (
    """
    create function secrets.derive_secret_expiry() returns trigger language plpgsql
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
    create trigger derive_expiry before insert or update of metadata on secrets.secret
        for each row when (new.metadata is not null)
        execute function secrets.derive_secret_expiry()
    """,
    # In the statements that store a value its secret is written first, and seen here as written.
    """
    create function secrets.derive_value_expiry() returns trigger language plpgsql
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
    create trigger derive_expiry before insert on secrets.value_version
        for each row when (new.content is not null and new.normal_form is null)
        execute function secrets.derive_value_expiry()
    """,
)


def upgrade() -> None:
    """Add to the schema `secrets`."""
    as_owner(
        "alter table secrets.value_version add column normal_form bytea",
        "alter table secrets.value_version add check (normal_form is null or content is not null)",
        *(
            f"alter table {table} add column certificate_expires_at timestamptz"
            for table in WIDENED
        ),
        # Forced row-level security shows the owner no row; nobody else has these tables meanwhile.
        *(f"alter table {table} no force row level security" for table in READ),
        """
        update secrets.secret s
        set certificate_expires_at = (s.metadata ->> 'expires_at')::timestamptz
        where s.metadata ->> 'expires_at' is not null
        """,
        """
        update secrets.value_version v set certificate_expires_at = s.certificate_expires_at
        from secrets.secret s, secrets.secret_environment e
        where s.certificate_expires_at is not null
          and e.tenant_id = s.tenant_id and e.secret_id = s.id
          and e.environment_id = s.base_environment_id
          and v.tenant_id = e.tenant_id and v.secret_id = e.secret_id
          and v.environment_id = e.environment_id and v.value_version = e.value_version
        """,
        *(f"alter table {table} force row level security" for table in READ),
        *DERIVED,
        # With the tenant first it looked, where nothing is stored yet, as good for finding a value as the
        # primary key: and a plan that was made then goes on to read all values of the tenant.
        "create unique index value_version_data_key on secrets.value_version"
        " (data_key_id, tenant_id)",
        "alter table secrets.value_version drop constraint value_version_tenant_id_data_key_id_key",
        # What a secret without an expiry of its own expires by is its certificate.
        """
        create index secret_expiry on secrets.secret
            (tenant_id, (coalesce(expires_at, certificate_expires_at)), id)
            where deleted_at is null and coalesce(expires_at, certificate_expires_at) is not null
        """,
    )
