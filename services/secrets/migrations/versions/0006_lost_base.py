"""Deleted secrets remember the base environment that was deleted after them; one that goes is closed.

The previous release may go on running: it restores such a secret without asking, into the environment that
took the place of its base, and the name that it leaves here is forgotten when the secret is deleted again.
What it stores in a closed environment keeps that from going, as it always did.
"""

from services.common.migrations.ddl import one_by_one

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add to the schema `secrets`."""
    one_by_one(
        "alter table secrets.secret add column if not exists lost_base text",
        "alter table secrets.environment add column if not exists closed_at timestamptz",
    )
