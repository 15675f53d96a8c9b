"""What reading the audit log needs: an index for its filters, whatever the tenant's number of events.

An action and a resource type together are a kind, of which there are as many as the code knows. The index
leads from one kind to the next, and lists a kind's events in their order: a filter by action, by the
beginning of an action or by resource type picks kinds, and merges their lists.
"""

from services.common.migrations.ddl import index

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index."""
    index(
        "event_kind",
        "audit.event",
        '(tenant_id, action collate "C", resource_type collate "C", seq)',
    )
