"""Deleted secrets: found again, restored, purged; and lists that walk an index in every order.

`coffer_secrets_purge` sees of all tenants which secrets are deleted and since when, nothing else. What it
finds is removed by `coffer_secrets`, held to one tenant.

The previous release may go on running: it only finds what expires before a moment more slowly.
"""

from services.common.migrations.ddl import as_owner, drop_index, index

revision = "0004"
down_revision = "0003"

# What never expires comes after all that does: one index serves the order and the filter.
EXPIRY = """
    (case when expires_at is not null then expires_at
        when certificate_expires_at is not null then certificate_expires_at
        else 'infinity'::timestamptz end)
"""
# What is always so and only lists say keeps the other statements from these indexes: where nothing is stored
# yet any index that begins with the tenant looks as good as the one by name or by id, and plans are kept.
LIVE = "where deleted_at is null"
DELETED = "where deleted_at is not null"


TABLE = "secrets.secret"


def upgrade() -> None:
    """Add to the schema `secrets`."""
    index("secret_overdue", TABLE, f"(deleted_at, tenant_id, id) {DELETED}")
    # Also for a consumer that asks by name for one that was deleted, and is told so.
    index("secret_deleted", TABLE, f"(tenant_id, name, deleted_at) {DELETED}")
    index(
        "secret_created",
        TABLE,
        f"(tenant_id, created_at, id) {LIVE} and created_at > '-infinity'",
    )
    index("secret_expires", TABLE, f"(tenant_id, {EXPIRY}, id) {LIVE} and {EXPIRY} > '-infinity'")
    drop_index("secrets.secret_expiry")
    as_owner(
        "grant select (tenant_id, id, deleted_at) on secrets.secret to coffer_secrets_purge",
        "create policy secrets_purge on secrets.secret for select to coffer_secrets_purge"
        " using (deleted_at is not null)",
        # The policy of the transaction's tenant is for every role: without this one it would show live rows.
        "create policy secrets_purge_no_more on secrets.secret as restrictive to coffer_secrets_purge"
        " using (deleted_at is not null)",
    )
