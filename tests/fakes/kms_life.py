"""What tests of a key's life do again and again: connect, seal, look whether it was left, count calls."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from services.common.errors import CofferError
from tests.fakes.kms_stand import onboarding, refused

if TYPE_CHECKING:
    from uuid import UUID

    from devcloud.aws.seed import Customer
    from devcloud.control import Control
    from tests.fakes.kms_stand import KmsStand


async def customer_of(kms: KmsStand, cloud: Control, tenant: UUID) -> Customer:
    made: Customer = await kms.cloud(cloud.create_customer, external_id=f"coffer-{tenant}")
    return made


async def connected(kms: KmsStand, cloud: Control) -> tuple[UUID, Customer]:
    tenant = kms.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
    customer = await customer_of(kms, cloud, tenant)
    await kms.put(tenant, onboarding(customer))
    return tenant, customer


async def seal(kms: KmsStand, cloud: Control, tenant: UUID, customer: Customer) -> None:
    await kms.cloud(cloud.disable, customer.key_arn)
    kms.process.forget_all()
    await refused("tenant_sealed", kms.generate(tenant))


async def has_no_config(kms: KmsStand, tenant: UUID) -> bool:
    try:
        await kms.get(tenant)
    except CofferError as error:
        if error.code != "no_kms_config":
            raise
        return True
    return False


def events(kms: KmsStand, tenant: UUID) -> list[tuple[object, ...]]:
    return kms.database.rows(
        "select action, actor from audit.event where tenant_id = %s and action like 'kms.%%'"
        " order by seq",
        (tenant,),
    )


def leases(kms: KmsStand, tenant: UUID) -> list[tuple[object, ...]]:
    return kms.database.rows(
        "select reason, target_version, state from rewrap.lease where tenant_id = %s order by id",
        (tenant,),
    )


async def calls_to(kms: KmsStand, cloud: Control, customer: Customer) -> int:
    """Every call that the customer's cloud account has seen since the ledger was reset."""
    names = (customer.key_arn, customer.role_arn)
    return sum([await kms.cloud(cloud.count, None, name) for name in names])


async def quiet(kms: KmsStand, cloud: Control, customer: Customer) -> bool:
    """Whether the customer's account sees no call for a moment."""
    before = await calls_to(kms, cloud, customer)
    await kms.generate(kms.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}"))
    tallies = await kms.cloud(cloud.tallies)
    busy = any(one.in_flight for one in tallies if one.resource == customer.key_arn)
    return not busy and await calls_to(kms, cloud, customer) == before
