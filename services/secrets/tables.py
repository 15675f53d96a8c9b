"""The tables of schema `secrets`, as the migrations leave them. A test compares the two."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from services.common.idempotency.tables import idempotency


def metadata() -> sa.MetaData:
    """A new description of the schema."""
    tables = sa.MetaData(schema="secrets")
    _groups(tables)
    _secret(tables)
    _secret_environment(tables)
    _data_key(tables)
    _value_version(tables)
    idempotency(tables)
    return tables


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _reference(table: str, *pairs: tuple[str, str]) -> sa.ForeignKeyConstraint:
    """To another table of the same tenant."""
    columns = ["tenant_id", *(mine for mine, _ in pairs)]
    targets = [f"secrets.{table}.tenant_id", *(f"secrets.{table}.{theirs}" for _, theirs in pairs)]
    return sa.ForeignKeyConstraint(columns, targets)


def _groups(tables: sa.MetaData) -> None:
    sa.Table(
        "environment",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("color", sa.Text),
        sa.Column("is_default", sa.Boolean, nullable=False),
        _moment("closed_at"),
        _moment("created_at", nullable=False),
    )
    sa.Table(
        "collection",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        _moment("created_at", nullable=False),
    )
    sa.Table(
        "usage",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("live_secrets", sa.BigInteger, nullable=False),
    )


def _secret(tables: sa.MetaData) -> None:
    sa.Table(
        "secret",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("secret_type", sa.Text, nullable=False),
        sa.Column("certificate_type", sa.Text),
        sa.Column("metadata", pg.JSONB),
        _moment("certificate_expires_at"),
        sa.Column("base_environment_id", sa.Uuid, nullable=False),
        sa.Column("collection_id", sa.Uuid),
        _moment("expires_at"),
        sa.Column("strict_expiry_enforcement", sa.Boolean, nullable=False),
        _moment("created_at", nullable=False),
        _moment("updated_at", nullable=False),
        _moment("deleted_at"),
        sa.Column("lost_base", sa.Text),
        _reference("environment", ("base_environment_id", "id")),
        _reference("collection", ("collection_id", "id")),
    )


def _secret_environment(tables: sa.MetaData) -> None:
    sa.Table(
        "secret_environment",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("secret_id", sa.Uuid, primary_key=True),
        sa.Column("environment_id", sa.Uuid, primary_key=True),
        sa.Column("value_version", sa.BigInteger, nullable=False),
        _moment("updated_at", nullable=False),
        _moment("expires_at_override"),
        _moment("deleted_at"),
        _reference("secret", ("secret_id", "id")),
        _reference("environment", ("environment_id", "id")),
    )


def _data_key(tables: sa.MetaData) -> None:
    sa.Table(
        "data_key",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("key_version", sa.BigInteger, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )


def _value_version(tables: sa.MetaData) -> None:
    sa.Table(
        "value_version",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("secret_id", sa.Uuid, primary_key=True),
        sa.Column("environment_id", sa.Uuid, primary_key=True),
        sa.Column("value_version", sa.BigInteger, primary_key=True),
        sa.Column("data_key_id", sa.Uuid, nullable=False),
        sa.Column("certificate_type", sa.Text),
        _moment("certificate_expires_at"),
        *(
            sa.Column(field, sa.LargeBinary)
            for field in ("value", "content", "private_key", "passphrase", "normal_form")
        ),
        _moment("created_at", nullable=False),
        _reference(
            "secret_environment", ("secret_id", "secret_id"), ("environment_id", "environment_id")
        ),
        _reference("data_key", ("data_key_id", "id")),
    )
