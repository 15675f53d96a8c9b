"""Rate limits and use of API keys, calls of a tenant."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Nothing yet."""
