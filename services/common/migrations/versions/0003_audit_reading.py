"""What reading the audit log needs: an index for its filters, whatever the tenant's number of events.

An action and a resource type together are a kind, of which there are as many as the code knows. The index
leads from one kind to the next, and lists a kind's events in their order: a filter by action, by the
beginning of an action or by resource type picks kinds, and merges their lists.

Made concurrently: the table is that of every change, and an index that was made at once would make all
writers wait. That cannot be done in a transaction, so one that was left half-made is made anew.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index, as the table's owner."""
    with op.get_context().autocommit_block():
        op.execute("set role coffer_owner")
        op.execute("drop index concurrently if exists audit.event_kind")
        op.execute(
            "create index concurrently event_kind on audit.event"
            ' (tenant_id, action collate "C", resource_type collate "C", seq)'
        )
        op.execute("reset role")
