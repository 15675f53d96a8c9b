"""A rotation that comes between the making of a data key and its storing, at exactly that moment."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from services.common.database import Database
from services.secrets.model import StaleKeyVersionError
from services.secrets.store import PostgresSecrets
from tests.fakes.secrets_values import a_call, new_secret
from tests.fixtures.eventually import eventually
from tests.fixtures.stack import RPC_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tests.fixtures.tenant_user import TenantUser

BEFORE = "made before, stored after"


@contextlib.contextmanager
def ring_held(tenant: TenantUser) -> Iterator[None]:
    """The tenant's key ring in our hands: whoever needs it queues, in the order of coming."""
    with psycopg.connect(tenant.stack.stack.admin_dsn) as connection:
        connection.execute("select pg_advisory_xact_lock(kms.ring_lock(%s))", (tenant.id,))
        yield


def wait_for_queue(tenant: TenantUser, length: int) -> None:
    """Until so many wait for the tenant's key ring."""
    waiting = (
        "select 1 from pg_locks where locktype = 'advisory' and not granted"
        " and ((classid::bigint << 32) | objid::bigint) = kms.ring_lock(%s)"
    )

    def queued() -> bool:
        return len(tenant.stack.rows(waiting, (tenant.id,))) == length

    eventually(queued, f"{length} wait for the key ring")


def overtaken_by_rotation(tenant: TenantUser, write: Callable[[], Any]) -> tuple[Any, Any]:
    """The reply of a rotation, and of a write whose data key is older than it."""
    with ThreadPoolExecutor(2) as pool:
        with ring_held(tenant):
            rotation = pool.submit(tenant.rotate)
            wait_for_queue(tenant, 1)
            written = pool.submit(write)
            wait_for_queue(tenant, 2)
        return rotation.result(), written.result()


def key_version(tenant: TenantUser, secret_id: str) -> int:
    """The version that wraps the data key of a secret's newest value."""
    rows = tenant.stack.rows(
        "select d.key_version from secrets.data_key d join secrets.value_version v"
        " on v.tenant_id = d.tenant_id and v.data_key_id = d.id"
        " where v.tenant_id = %s and v.secret_id = %s order by v.value_version desc limit 1",
        (tenant.id, secret_id),
    )
    return int(rows[0][0])


def test_a_secret_created_across_a_rotation_opens_under_the_new_version(tenant: TenantUser) -> None:
    assert tenant.onboard(tenant.customer())["new_key_version"] == 1
    rotation, made = overtaken_by_rotation(tenant, lambda: tenant.create("NEW", BEFORE))
    assert key_version(tenant, made["id"]) == rotation["new_version"] == 2
    assert tenant.value("NEW") == BEFORE
    # Nothing was left for the rewrap: the rotation found no key, and none came after it.
    lease = tenant.ended_lease(rotation["rewrap_lease_id"])
    assert (lease["state"], lease["total"], lease["done"]) == ("completed", 0, 0)


def test_a_value_put_across_a_rotation_opens_under_the_new_version(tenant: TenantUser) -> None:
    tenant.onboard(tenant.customer())
    made = tenant.create("ONE", "older value")
    rotation, put = overtaken_by_rotation(tenant, lambda: tenant.put(made["id"], BEFORE))
    assert put["value_version"] == 2
    assert key_version(tenant, made["id"]) == rotation["new_version"]
    assert tenant.value("ONE") == BEFORE
    assert tenant.access(name="ONE", value_version=1).value == "older value"
    lease = tenant.ended_lease(rotation["rewrap_lease_id"])
    assert (lease["state"], lease["total"]) == ("completed", 1)


async def test_a_key_of_a_version_that_is_not_active_is_never_stored(tenant: TenantUser) -> None:
    tenant.onboard(tenant.customer())
    tenant.create("ONE", "value")
    kms = kms_pb2_grpc.KmsServiceStub(tenant.stack.channel("secrets", "kms"))
    question = kms_pb2.GenerateDataKeysRequest(tenant_id=tenant.id, count=1)
    generated = kms.GenerateDataKeys(question, timeout=RPC_SECONDS)
    rotation = tenant.rotate()
    assert generated.key_version < rotation["new_version"]
    tenant.ended_lease(rotation["rewrap_lease_id"])
    dsn = tenant.stack.stack.role_dsn("coffer_secrets")
    database = Database(dsn, name="test", max_connections=1)
    await database.open()
    try:
        store = PostgresSecrets(database)
        environment = await store.environment(UUID(tenant.id), None, a_call(UUID(tenant.id)))
        for version in (generated.key_version, rotation["new_version"] + 1):
            secret = new_secret(
                "TWO", environment, key_version=version, call=a_call(UUID(tenant.id))
            )
            with pytest.raises(StaleKeyVersionError):
                await store.create(UUID(tenant.id), version, [secret])
    finally:
        await database.close()
    assert set(tenant.rows()) == {"ONE"}
    assert tenant.census() == {1: 0, rotation["new_version"]: 1}
