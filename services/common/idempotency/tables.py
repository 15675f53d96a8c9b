"""The table of idempotency keys, as the migrations leave it in each schema that has one."""

from __future__ import annotations

import sqlalchemy as sa


def idempotency(tables: sa.MetaData) -> None:
    """Add `<schema>.idempotency` to the description of a schema."""
    sa.Table(
        "idempotency",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("owner", sa.Uuid, nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reply", sa.LargeBinary),
        sa.Column("refusal", sa.LargeBinary),
    )
