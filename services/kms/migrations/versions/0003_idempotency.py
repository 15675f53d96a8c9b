"""Idempotency keys."""

from services.common.migrations.ddl import idempotency_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add to the schema `kms`."""
    idempotency_table("kms", "coffer_kms", "coffer_kms")
