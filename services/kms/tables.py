"""The tables of schema `kms`, as the migrations leave them. A test compares the two."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from services.common.idempotency.tables import idempotency


def metadata() -> sa.MetaData:
    """A new description of the schema."""
    tables = sa.MetaData(schema="kms")
    _key_ring(tables)
    _binding(tables)
    _master_key(tables)
    _receipt(tables)
    _rewrap_report(tables)
    idempotency(tables)
    return tables


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _key_ring(tables: sa.MetaData) -> None:
    sa.Table(
        "key_ring",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("next_version", sa.BigInteger, nullable=False),
        sa.Column("current_binding_id", sa.Uuid),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
    )


def _binding(tables: sa.MetaData) -> None:
    sa.Table(
        "binding",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("kms_key_ref", sa.Text, nullable=False),
        sa.Column("resolved_key_ref", sa.Text, nullable=False),
        sa.Column("config", pg.JSONB, nullable=False),
        _moment("created_at", nullable=False),
        _moment("replaced_at"),
        _moment("sealed_since"),
        _moment("last_verified_at"),
        sa.Column("last_verify_error", sa.Text),
    )


def _master_key(tables: sa.MetaData) -> None:
    sa.Table(
        "master_key",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("wrap_method", sa.Text, nullable=False),
        sa.Column("binding_id", sa.Uuid),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("provider_key_version", sa.Text),
        sa.Column("check_value", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        _moment("created_at", nullable=False),
        _moment("retired_at"),
        _moment("revoked_at"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "binding_id"], ["kms.binding.tenant_id", "kms.binding.id"]
        ),
    )


def _receipt(tables: sa.MetaData) -> None:
    sa.Table(
        "receipt",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("key_id", sa.Uuid, nullable=False),
        sa.Column("jws", sa.Text, nullable=False),
        _moment("created_at", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "version"], ["kms.master_key.tenant_id", "kms.master_key.version"]
        ),
    )


def _rewrap_report(tables: sa.MetaData) -> None:
    sa.Table(
        "rewrap_report",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("lease_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("jws", sa.Text, nullable=False),
        _moment("created_at", nullable=False),
    )
