"""Deleted secrets remember the base environment that was deleted after them; one that goes is closed.

The previous release may go on running: it restores such a secret without asking, into the environment that
took the place of its base, and the name that it leaves here is forgotten when the secret is deleted again.
What it stores in a closed environment keeps that from going, as it always did.
"""

from services.common.migrations.ddl import index, one_by_one

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add to the schema `secrets`."""
    one_by_one(
        "alter table secrets.secret add column if not exists lost_base text",
        "alter table secrets.environment add column if not exists closed_at timestamptz",
        # The purge also finishes deletions that were cut off.
        "grant select (tenant_id, id, closed_at) on secrets.environment to coffer_secrets_purge",
        "drop policy if exists secrets_purge on secrets.environment",
        "create policy secrets_purge on secrets.environment for select to coffer_secrets_purge"
        " using (closed_at is not null)",
        "drop policy if exists secrets_purge_no_more on secrets.environment",
        "create policy secrets_purge_no_more on secrets.environment as restrictive"
        " to coffer_secrets_purge using (closed_at is not null)",
    )
    index(
        "environment_closed",
        "secrets.environment",
        "(closed_at, tenant_id, id) where closed_at is not null",
    )
