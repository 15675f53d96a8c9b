"""What a rewrap started by hand has to know of the key ring."""

from services.common.migrations.ddl import define

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add to the schema `kms`."""
    # As kms.hold_active: the look comes in a statement of its own, after the lock. While the ring is held no
    # rotation commits, so the lease that is issued is for the version that is active then.
    define(
        "kms.hold_active_version(p_tenant uuid)",
        """
        returns bigint language plpgsql as $$
        begin
            perform tenancy.require(p_tenant);
            perform pg_advisory_xact_lock_shared(kms.ring_lock(p_tenant));
            return (select k.version from kms.master_key k
                    where k.tenant_id = p_tenant and k.status = 'active');
        end
        $$
        """,
        callers=("coffer_rewrap",),
    )
