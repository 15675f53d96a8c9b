"""Idempotency keys."""

from services.common.migrations.ddl import as_owner, idempotency_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add to the schema `secrets`."""
    as_owner("grant usage on schema secrets to coffer_secrets_purge")
    idempotency_table("secrets", "coffer_secrets", "coffer_secrets_purge")
