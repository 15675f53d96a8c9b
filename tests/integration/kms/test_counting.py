"""Who counts data keys, a big tenant's for seconds, leaves connections to those who need one briefly."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import psycopg

from tests.fakes.kms_stand import until

if TYPE_CHECKING:
    from uuid import UUID

    from tests.fakes.kms_stand import KmsStand

PLACES = 3
"""Of the twelve connections that the stand has."""
_COUNTING = (
    "select count(*) from pg_stat_activity where usename = 'coffer_kms'"
    " and wait_event_type = 'Lock' and datname = current_database()"
)


async def test_censuses_of_many_tenants_leave_connections_to_their_neighbours(
    kms: KmsStand,
) -> None:
    """Each look at these tenants takes as long as the table is locked; there are more than connections."""
    crowd = [_connected(kms, await _with_a_key(kms)) for _ in range(20)]
    stranger = await _with_a_key(kms)
    with psycopg.connect(kms.database.admin_dsn) as slow:
        slow.execute("lock table secrets.data_key in access exclusive mode")
        looks = [asyncio.create_task(kms.get(tenant)) for tenant in crowd for _ in range(2)]

        async def crowded() -> bool:
            return int(str(kms.database.rows(_COUNTING)[0][0])) >= PLACES

        await until(crowded, 10, "censuses are under way")
        async with asyncio.timeout(5):
            for _ in range(3):
                kms.process.forget_all()
                await kms.generate(stranger)
        assert kms.database.rows(_COUNTING) == [(PLACES,)]
    for shown in await asyncio.gather(*looks):
        assert [key["version"] for key in shown["keys"]] == ["1"]


async def _with_a_key(kms: KmsStand) -> UUID:
    tenant = kms.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
    await kms.generate(tenant)
    return tenant


def _connected(kms: KmsStand, tenant: UUID) -> UUID:
    """As an onboarded tenant is seen; its key need not be asked."""
    binding = uuid.uuid4()
    kms.database.execute(
        "insert into kms.binding (tenant_id, id, provider, kms_key_ref, resolved_key_ref, config)"
        " values (%s, %s, 'aws', 'k', 'k', '{}')",
        (tenant, binding),
    )
    kms.database.execute(
        "update kms.key_ring set current_binding_id = %s where tenant_id = %s", (binding, tenant)
    )
    return tenant
