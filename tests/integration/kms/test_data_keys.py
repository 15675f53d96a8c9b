"""Data keys over real gRPC, TLS and PostgreSQL, under the platform's wrapping key."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from coffer.kms.v1 import kms_pb2

from tests.fakes.kms_stand import called, refused, running_kms

if TYPE_CHECKING:
    from devcloud.aws.server import AwsServer
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

RECORD = 68


async def test_a_data_key_comes_back_as_it_was_made(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    made = await kms.generate(tenant, 3)
    assert made.key_version == 1
    assert 0 < made.usable_for_ms <= 3_600_000
    assert len({key.plaintext for key in made.data_keys}) == 3
    opened = await kms.unwrap(tenant, *((key.id, key.wrapped) for key in made.data_keys))
    assert [one.plaintext for one in opened.results] == [key.plaintext for key in made.data_keys]
    assert 0 < opened.usable_for_ms <= 3_600_000


async def test_a_crowd_of_first_uses_makes_one_version(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    made = await asyncio.gather(*(kms.generate(tenant) for _ in range(40)))
    assert {one.key_version for one in made} == {1}
    assert kms.database.rows(
        "select version, wrap_method, status from kms.master_key where tenant_id = %s", (tenant,)
    ) == [(1, "global", "active")]
    keys = [(key.id, key.wrapped) for one in made for key in one.data_keys]
    opened = await kms.unwrap(tenant, *keys)
    assert [one.plaintext for one in opened.results] == [
        key.plaintext for one in made for key in one.data_keys
    ]


async def test_another_tenants_data_key_does_not_open(kms: KmsStand) -> None:
    one, other = kms.database.create_tenant("a"), kms.database.create_tenant("b")
    key = (await kms.generate(one)).data_keys[0]
    await kms.generate(other)
    opened = await kms.unwrap(other, (key.id, key.wrapped))
    assert opened.results[0].fault == kms_pb2.DATA_KEY_FAULT_DAMAGED
    assert not opened.results[0].plaintext


async def test_a_data_key_under_anothers_id_does_not_open(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    first, second = (await kms.generate(tenant, 2)).data_keys
    opened = await kms.unwrap(tenant, (second.id, first.wrapped))
    assert opened.results[0].fault == kms_pb2.DATA_KEY_FAULT_DAMAGED


async def test_one_bad_item_does_not_fail_its_neighbours(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    key = (await kms.generate(tenant)).data_keys[0]
    unknown = key.wrapped[:4] + (9).to_bytes(4, "big") + key.wrapped[8:]
    items = [(key.id, b"short"), (key.id, unknown), (key.id, key.wrapped)]
    results = (await kms.unwrap(tenant, *items)).results
    assert results[0].fault == kms_pb2.DATA_KEY_FAULT_DAMAGED
    assert results[1].fault == kms_pb2.DATA_KEY_FAULT_UNKNOWN_VERSION
    assert results[2].plaintext == key.plaintext
    packed = b"".join(a + b.ljust(RECORD, b"\0") for a, b in items)
    done = await kms.rewrap(tenant, packed)
    assert {(f.index, f.fault) for f in done.failures} == {
        (0, kms_pb2.DATA_KEY_FAULT_DAMAGED),
        (1, kms_pb2.DATA_KEY_FAULT_UNKNOWN_VERSION),
    }
    assert done.packed[: 2 * RECORD] == bytes(2 * RECORD)
    again = await kms.unwrap(tenant, (key.id, done.packed[2 * RECORD :]))
    assert again.results[0].plaintext == key.plaintext


async def test_no_key_is_made_for_a_tenant_that_does_not_exist(kms: KmsStand) -> None:
    await refused("not_found", kms.generate(uuid.uuid4()))
    assert kms.database.rows("select 1 from kms.key_ring") == []


async def test_only_secrets_gets_data_keys(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    request = kms_pb2.GenerateDataKeysRequest(tenant_id=str(tenant), count=1)
    for who in ("gateway", "rewrap", "kms", "consumer/dev"):
        await refused("forbidden", called(kms.stub(who).GenerateDataKeys(request, timeout=10)))


async def test_requests_out_of_bounds_are_refused(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    for count in (0, 257):
        await refused("validation_error", kms.generate(tenant, count))
    await refused("validation_error", kms.unwrap(tenant))
    for packed in (b"", b"x" * 83, b"x" * 84 * 5001):
        await refused("validation_error", kms.rewrap(tenant, packed))


async def test_the_platform_key_of_another_deployment_opens_nothing(
    database: TestDatabase, pki: TestPki, aws: AwsServer
) -> None:
    tenant = database.create_tenant("a")
    async with running_kms(database, pki, aws, master_key=bytes(range(32))) as ours:
        await ours.generate(tenant)
    async with running_kms(database, pki, aws, master_key=bytes(range(1, 33))) as theirs:
        await refused("tenant_sealed", theirs.generate(tenant))
    async with running_kms(database, pki, aws, master_key=bytes(range(32))) as ours:
        await ours.generate(tenant)


async def test_a_key_that_is_not_the_one_of_its_check_value_is_not_used(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    await kms.generate(tenant)
    kms.database.tamper("update kms.master_key set check_value = sha256('x')")
    kms.process.forget_all()
    await refused("tenant_sealed", kms.generate(tenant))
