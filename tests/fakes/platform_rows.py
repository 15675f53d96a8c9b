"""Many master keys under the platform's own key, stored without a kms, and who opens them."""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import TYPE_CHECKING

import psycopg

from services.common.sensitive import SecretBytes
from services.kms.keys import hierarchy
from services.kms.model import KeyFacts, WrapError, Wrapped
from services.kms.providers.platform import PlatformKey
from tests.fakes.kms_keys import CountingMeter

if TYPE_CHECKING:
    from tests.fixtures.database import TestDatabase


def store_platform_keys(database: TestDatabase, key: bytes, count: int) -> None:
    """`count` new tenants, each with a first version under `key`."""
    platform = PlatformKey(SecretBytes(key), CountingMeter())
    tenants = [uuid.uuid4() for _ in range(count)]
    keys = []
    for tenant_id in tenants:
        facts, master_key = KeyFacts(tenant_id, uuid.uuid4()), os.urandom(32)
        blob = asyncio.run(platform.wrap(facts, master_key)).blob
        check = hierarchy.check_value(master_key, tenant_id, facts.key_id)
        keys.append((tenant_id, facts.key_id, blob, check))
    with psycopg.connect(database.admin_dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into tenancy.tenant (tenant_id, slug, name, plan)"
            " values (%s, 't-' || %s, 'x', 'pro')",
            [(tenant, tenant) for tenant in tenants],
        )
        cursor.executemany(
            "insert into kms.key_ring (tenant_id, next_version) values (%s, 2)",
            [(tenant,) for tenant in tenants],
        )
        cursor.executemany(
            "insert into kms.master_key"
            " (tenant_id, version, id, wrap_method, wrapped, check_value, status)"
            " values (%s, 1, %s, 'global', %s, %s, 'active')",
            keys,
        )


def opened_by(database: TestDatabase, key: bytes) -> int:
    """How many of all stored master keys `key` alone opens."""
    platform = PlatformKey(SecretBytes(key), CountingMeter())
    rows = database.rows("select tenant_id, id, wrapped, check_value from kms.master_key")
    return sum(asyncio.run(_opens(platform, *row)) for row in rows)


async def _opens(
    platform: PlatformKey, tenant_id: object, key_id: object, blob: object, check: object
) -> bool:
    assert isinstance(tenant_id, uuid.UUID)
    assert isinstance(key_id, uuid.UUID)
    assert isinstance(blob, bytes)
    assert isinstance(check, bytes)
    try:
        master_key = await platform.unwrap(KeyFacts(tenant_id, key_id), Wrapped(blob))
    except WrapError:
        return False
    return hierarchy.is_this_key(master_key, tenant_id, key_id, check)
