"""Reports of rewraps."""

from services.common.migrations.ddl import as_owner, grant, isolate

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add to the schema `kms`."""
    # Here and not with the lease, which rewrap may write: what has been signed nobody changes or takes away.
    as_owner(
        """
        create table kms.rewrap_report (
            tenant_id uuid not null,
            lease_id bigint not null,
            jws text not null,
            created_at timestamptz not null default clock_timestamp(),
            primary key (tenant_id, lease_id)
        )
        """
    )
    isolate("kms.rewrap_report")
    grant("kms.rewrap_report", "coffer_kms", "select, insert")
