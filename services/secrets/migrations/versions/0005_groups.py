"""What collections need: to count their secrets, and to find them when the collection goes.

Environments need nothing more: deleting one looks once at the rows of its tenant, which is rare, and an index
for that would be written with every new value.
"""

from services.common.migrations.ddl import index

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add to the schema `secrets`."""
    index(
        "secret_by_collection",
        "secrets.secret",
        "(tenant_id, collection_id, deleted_at) where collection_id is not null",
    )
