"""Who counts data keys, a big tenant's for seconds, leaves connections to those who need one briefly."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from coffer.kms.v1 import kms_pb2

from services.common.database import Database
from services.common.identity import Call
from services.kms.store import Store
from tests.fakes.kms_stand import refused, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
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

        await until(lambda: _counting(kms, PLACES), 10, "censuses are under way")
        async with asyncio.timeout(5):
            for _ in range(3):
                kms.process.forget_all()
                await kms.generate(stranger)
        assert kms.database.rows(_COUNTING) == [(PLACES,)]
    for shown in await asyncio.gather(*looks):
        assert [key["version"] for key in shown["keys"]] == ["1"]


@pytest.mark.parametrize("in_use", [True, False], ids=["refused", "done"])
async def test_writers_do_not_wait_while_a_revoke_counts(kms: KmsStand, in_use: bool) -> None:
    tenant = await _with_a_key(kms)
    if in_use:
        _store(kms, tenant, 1)
    _retire(kms, tenant)
    with psycopg.connect(kms.database.admin_dsn) as slow:
        slow.execute("lock table secrets.data_key in access exclusive mode")
        revoke = asyncio.create_task(_revoke(kms, tenant))
        await until(lambda: _counting(kms, 1), 10, "it counts")
        await asyncio.to_thread(_write, kms, tenant)
    if in_use:
        await refused("key_in_use", revoke)
    else:
        assert (await revoke).receipt.jws


async def test_a_forced_revoke_tells_what_it_lost_and_not_what_there_was_when_it_began(
    kms: KmsStand,
) -> None:
    tenant = await _with_a_key(kms)
    for _ in range(3):
        _store(kms, tenant, 1)
    _retire(kms, tenant)
    with _holding(kms, tenant) as rewrap:
        revoke = asyncio.create_task(_revoke(kms, tenant, force=True))
        await until(lambda: _counting(kms, 1), 10, "it waits for the ring")
        rewrap.execute(
            "update secrets.data_key set key_version = 2 where ctid ="
            " (select min(ctid) from secrets.data_key where tenant_id = %s)",
            (tenant,),
        )
    lost = (await revoke).receipt.jws.split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(lost + "=="))
    assert (told["data_keys_lost"], told["forced"]) == (2, True)


async def test_writers_do_not_wait_while_the_end_of_draining_is_counted(kms: KmsStand) -> None:
    """It has counted and waits for the ring; were it to count again there, it would hold up all writers."""
    tenant = _connected(kms, await _with_a_key(kms))
    _drain(kms, tenant)
    async with _store_of(kms) as store:
        with psycopg.connect(kms.database.admin_dsn) as slow:
            with _holding(kms, tenant):
                left = asyncio.create_task(store.finish_draining(_call(), tenant))
                await until(lambda: _counting(kms, 1), 10, "it waits for the ring")
                slow.execute("lock table secrets.data_key in access exclusive mode")
            async with asyncio.timeout(5):
                assert await left is not None
            await asyncio.to_thread(_write, kms, tenant)


async def test_a_binding_that_was_not_counted_is_not_left(kms: KmsStand) -> None:
    """Between the count and the leaving the tenant connected another key, and is leaving that one."""
    tenant = _connected(kms, await _with_a_key(kms))
    _drain(kms, tenant)
    async with _store_of(kms) as store:
        with _holding(kms, tenant, exclusively=True) as change:
            left = asyncio.create_task(store.finish_draining(_call(), tenant))
            await until(lambda: _counting(kms, 1), 10, "it waits for the ring")
            change.execute(_BIND, {"tenant": tenant, "binding": uuid.uuid4()})
        assert await left is None
        assert await store.finish_draining(_call(), tenant) is not None, "counted now"


_BIND = b"""
    with made as (
        insert into kms.binding (tenant_id, id, provider, kms_key_ref, resolved_key_ref, config)
        values (%(tenant)s, %(binding)s, 'aws', 'k', 'k', '{}') returning id
    ) update kms.key_ring set current_binding_id = made.id from made where tenant_id = %(tenant)s
"""


async def _counting(kms: KmsStand, count: int) -> bool:
    """Whether so many transactions of kms wait for a lock: of the table that is counted, or of the ring."""
    return int(str(kms.database.rows(_COUNTING)[0][0])) >= count


def _call() -> Call:
    return Call(actor="service:kms", request_id=str(uuid.uuid4()))


async def _revoke(kms: KmsStand, tenant: UUID, *, force: bool = False) -> Any:
    ((slug,),) = kms.database.rows(
        "select slug from tenancy.tenant where tenant_id = %s", (tenant,)
    )
    request = kms_pb2.RevokeKeyVersionRequest(version=1, confirm=str(slug), force=force)
    token = kms.pki.issuer.step_up_token(tenant)
    return await kms.admin("RevokeKeyVersion", tenant, request, step_up=token)


def _store(kms: KmsStand, tenant: UUID, version: int) -> None:
    kms.database.execute(
        "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
        " values (%s, gen_random_uuid(), %s, %s)",
        (tenant, version, bytes(68)),
    )


def _retire(kms: KmsStand, tenant: UUID) -> None:
    """Version 2 is active from now on; nobody need open it."""
    with psycopg.connect(kms.database.admin_dsn) as connection:
        connection.execute(
            "update kms.master_key set status = 'retired', retired_at = now()"
            " where tenant_id = %s and status = 'active'",
            (tenant,),
        )
        connection.execute(
            "insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped,"
            " check_value, status) values (%s, 2, gen_random_uuid(), 'global', 'x', %s, 'active')",
            (tenant, bytes(32)),
        )


def _drain(kms: KmsStand, tenant: UUID) -> None:
    """As after an off-boarding: a version under the binding is retired, and nothing hangs on it."""
    kms.database.execute(
        "insert into kms.master_key (tenant_id, version, id, wrap_method, binding_id, wrapped,"
        " check_value, status, retired_at) select tenant_id, 2, gen_random_uuid(), 'customer_kms',"
        " current_binding_id, 'x', %s, 'retired', now() from kms.key_ring where tenant_id = %s",
        (bytes(32), tenant),
    )
    kms.database.execute("update kms.key_ring set draining = true where tenant_id = %s", (tenant,))


@contextlib.contextmanager
def _holding(
    kms: KmsStand, tenant: UUID, *, exclusively: bool = False
) -> Iterator[psycopg.Connection[Any]]:
    """Somebody holds the tenant's ring, as a writer does or as one who changes it."""
    with psycopg.connect(kms.database.admin_dsn) as connection:
        take = "pg_advisory_xact_lock" if exclusively else "pg_advisory_xact_lock_shared"
        connection.execute(f"select {take}(kms.ring_lock(%s))".encode(), (tenant,))
        yield connection


def _write(kms: KmsStand, tenant: UUID) -> None:
    """What every writer of a value does first; it does not wait long."""
    with psycopg.connect(kms.database.admin_dsn) as connection:
        connection.execute("set local lock_timeout = '5s'")
        connection.execute("select pg_advisory_xact_lock_shared(kms.ring_lock(%s))", (tenant,))


@contextlib.asynccontextmanager
async def _store_of(kms: KmsStand) -> AsyncIterator[Store]:
    pool = Database(kms.database.dsn("coffer_kms"), name="test")
    await pool.open()
    try:
        yield Store(pool, "test")
    finally:
        await pool.close()


async def _with_a_key(kms: KmsStand) -> UUID:
    tenant = kms.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
    await kms.generate(tenant)
    return tenant


def _connected(kms: KmsStand, tenant: UUID) -> UUID:
    """As an onboarded tenant is seen; its key need not be asked."""
    with psycopg.connect(kms.database.admin_dsn) as connection:
        connection.execute(_BIND, {"tenant": tenant, "binding": uuid.uuid4()})
    return tenant
