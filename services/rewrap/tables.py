"""The tables of schema `rewrap`, as the migrations leave them. A test compares the two."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from services.common.idempotency.tables import idempotency


def metadata() -> sa.MetaData:
    """A new description of the schema."""
    tables = sa.MetaData(schema="rewrap")
    _lease(tables)
    _lane(tables)
    idempotency(tables)
    return tables


def _lease(tables: sa.MetaData) -> None:
    moment = sa.DateTime(timezone=True)
    sa.Table(
        "lease",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("target_version", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("failed_ids", pg.ARRAY(sa.Uuid), nullable=False),
        sa.Column("throttle_per_second", sa.BigInteger),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("started_at", moment),
        sa.Column("progressed_at", moment),
        sa.Column("finished_at", moment),
        sa.Column("rate_per_second", sa.Double),
        sa.Column("last_error", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", moment),
        sa.Column("passes", sa.Integer, nullable=False),
        sa.Column("census_before", pg.JSONB),
        sa.Column("census_after", pg.JSONB),
        sa.Column("verified", sa.BigInteger, nullable=False),
        sa.Column("kms_calls", sa.BigInteger, nullable=False),
        sa.Column("throttle_free_at", moment),
        sa.Column("rate_began_at", moment),
        sa.Column("rate_began_done", sa.BigInteger),
        sa.Column("rate_marked_at", moment),
        sa.Column("rate_marked_done", sa.BigInteger),
        sa.Column("lanes_left", sa.Integer),
        sa.Column("to_verify", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("verifying_since", moment),
    )


def _lane(tables: sa.MetaData) -> None:
    sa.Table(
        "lane",
        tables,
        sa.Column("tenant_id", sa.Uuid, primary_key=True),
        sa.Column("lease_id", sa.BigInteger, primary_key=True),
        sa.Column("lane", sa.SmallInteger, primary_key=True),
        sa.Column("cursor", sa.Uuid),
        sa.Column("until", sa.Uuid, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("quota", sa.BigInteger),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True)),
        sa.Column("troubles", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "lease_id"], ["rewrap.lease.tenant_id", "rewrap.lease.id"]
        ),
    )
