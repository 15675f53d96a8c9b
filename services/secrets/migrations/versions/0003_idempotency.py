"""Idempotency keys."""

from services.common.migrations.ddl import idempotency_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add to the schema `secrets`."""
    idempotency_table("secrets", "coffer_secrets")
