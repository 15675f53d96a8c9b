"""What happens to a tenant, and to nobody else, when its key cannot be used."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from coffer.kms.v1 import kms_pb2

from services.common.database import Database
from services.common.errors import CofferError
from services.common.identity import Call
from services.kms.model import Reason
from services.kms.store import Store
from tests.fakes.kms_life import connected
from tests.fakes.kms_stand import refused, running_kms, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

TTL = 2.0


@pytest.fixture
async def kms(database: TestDatabase, pki: TestPki, aws: AwsServer) -> AsyncIterator[KmsStand]:
    """Keys live for two seconds, and a sealed binding is tried again soon."""
    async with running_kms(database, pki, aws, customer_ttl=TTL, sealed_retry=0.3) as stand:
        yield stand


async def is_sealed(kms: KmsStand, tenant: UUID) -> bool:
    try:
        await kms.generate(tenant)
    except CofferError as error:
        if error.code != "tenant_sealed":
            raise
        return (error.http_status, error.retry_after) == (503, 30)
    return False


async def shown_as_sealed(kms: KmsStand, tenant: UUID) -> dict[str, Any]:
    """The status once it says so: who learned of a refusal stops first and writes it down then."""

    async def written_down() -> bool:
        return "sealed_since" in (await kms.get(tenant))["config"]

    await until(written_down, 5.0, "the status says that it is sealed")
    config: dict[str, Any] = (await kms.get(tenant))["config"]
    return config


async def test_a_disabled_key_seals_within_the_ttl_and_enabling_it_unseals(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await connected(kms, cloud)
    key = (await kms.generate(tenant)).data_keys[0]
    await kms.cloud(cloud.disable, customer.key_arn)
    disabled = last_served = time.monotonic()
    while True:
        asked = time.monotonic()
        assert asked - disabled < 10 * TTL
        if await is_sealed(kms, tenant):
            break
        last_served = asked
    assert last_served - disabled < TTL
    config = await shown_as_sealed(kms, tenant)
    assert config["last_verify_error"] == "key_disabled"
    assert config["sealed_since"]
    opened = await kms.unwrap(tenant, (key.id, key.wrapped))
    assert opened.results[0].fault == kms_pb2.DATA_KEY_FAULT_SEALED
    assert opened.results[0].reason == "key_disabled"
    error = await refused("tenant_sealed", kms.rotate(tenant))
    assert error.http_status == 409
    await kms.cloud(cloud.enable, customer.key_arn)

    async def open_again() -> bool:
        return not await is_sealed(kms, tenant)

    await until(open_again, 5, "unsealed")
    config = (await kms.get(tenant))["config"]
    assert "sealed_since" not in config
    assert "last_verify_error" not in config
    opened = await kms.unwrap(tenant, (key.id, key.wrapped))
    assert opened.results[0].plaintext == key.plaintext
    actions = [row[0] for row in kms.database.rows("select action from audit.event order by seq")]
    assert actions == ["kms.onboarded", "kms.sealed", "kms.unsealed"]


async def test_a_sealed_tenant_costs_no_cloud_calls_and_no_other_tenant_anything(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws, customer_ttl=1.0, sealed_retry=30.0) as kms:
        sealed, customer = await connected(kms, cloud)
        other, _ = await connected(kms, cloud)
        await kms.cloud(cloud.disable, customer.key_arn)
        await until(lambda: is_sealed(kms, sealed), 1.5, "sealed")
        calls = await kms.cloud(cloud.count, "Decrypt", customer.key_arn)
        for _ in range(50):
            assert await is_sealed(kms, sealed)
        assert await kms.cloud(cloud.count, "Decrypt", customer.key_arn) == calls
        await kms.generate(other)
        # Looking needs no key.
        assert await shown_as_sealed(kms, sealed)


async def test_a_slow_cloud_of_one_tenant_slows_no_other(kms: KmsStand, cloud: Control) -> None:
    slow, customer = await connected(kms, cloud)
    other, _ = await connected(kms, cloud)
    await kms.cloud(cloud.slow, customer.key_arn, 3.0)
    kms.process.forget_all()
    waiting = [asyncio.create_task(kms.verify(slow)) for _ in range(30)]
    await until(lambda: kms.cloud(lambda: cloud.count("Encrypt", customer.key_arn) > 1), 5, "slow")
    started = time.monotonic()
    for _ in range(5):
        kms.process.forget_all()
        await kms.generate(other)
    assert time.monotonic() - started < 2.5
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_throttling_serves_until_the_ttl_and_seals_only_then(
    kms: KmsStand, cloud: Control
) -> None:
    started = time.monotonic()
    tenant, customer = await connected(kms, cloud)
    await kms.generate(tenant)
    await kms.cloud(cloud.throttle, customer.key_arn)
    refreshes = await kms.cloud(cloud.count, "Decrypt", customer.key_arn)
    await until(lambda: is_sealed(kms, tenant), TTL + 2, "sealed")
    # The refresh at 80 % of the TTL was refused, and the key went on serving.
    assert time.monotonic() - started > 0.85 * TTL
    assert await kms.cloud(cloud.count, "Decrypt", customer.key_arn) > refreshes
    assert (await shown_as_sealed(kms, tenant))["last_verify_error"] == "throttled"
    await kms.cloud(cloud.clear_faults)

    async def open_again() -> bool:
        return not await is_sealed(kms, tenant)

    await until(open_again, 5, "unsealed")


async def test_a_refusal_seen_by_one_process_stops_the_others_at_once(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with (
        running_kms(database, pki, aws, customer_ttl=300.0, sealed_retry=0.3) as one,
        running_kms(database, pki, aws, customer_ttl=300.0, sealed_retry=0.3) as two,
    ):
        tenant, customer = await connected(one, cloud)
        await two.generate(tenant)
        await one.cloud(cloud.disable, customer.key_arn)
        one.process.forget_all()
        assert await is_sealed(one, tenant)
        await until(lambda: is_sealed(two, tenant), 2, "the other one stopped")
        await one.cloud(cloud.enable, customer.key_arn)
        for stand in (one, two):
            await until(lambda s=stand: _open(s, tenant), 5, "unsealed")  # type: ignore[misc]


async def test_a_refusal_after_silence_stops_the_other_processes_too(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with (
        running_kms(database, pki, aws, customer_ttl=300.0, sealed_retry=0.3) as one,
        running_kms(database, pki, aws, customer_ttl=300.0, sealed_retry=0.3) as two,
    ):
        tenant, customer = await connected(one, cloud)
        await two.generate(tenant)
        await one.cloud(cloud.throttle, customer.key_arn)
        one.process.forget_all()
        assert await is_sealed(one, tenant)
        await two.generate(tenant)  # silence: what is open goes on serving
        await one.cloud(cloud.disable, customer.key_arn)
        await one.cloud(cloud.clear_faults)
        await until(lambda: is_sealed(two, tenant), 5, "the other one stopped")
        assert (await one.get(tenant))["config"]["last_verify_error"] == "key_disabled"
        reasons = database.rows(
            "select details::json ->> 'reason' from audit.event where action = 'kms.sealed' order by seq"
        )
        assert reasons == [("throttled",), ("key_disabled",)]


async def test_a_proof_older_than_a_refusal_does_not_unseal(kms: KmsStand, cloud: Control) -> None:
    tenant, _ = await connected(kms, cloud)
    call = Call(actor="service:kms", request_id=str(uuid.uuid4()))
    async with opened(Database(kms.database.dsn("coffer_kms"), name="test")) as database:
        store = Store(database, "test")
        binding = await store.current(tenant)
        assert binding is not None
        await store.seal(call, binding, Reason.UNREACHABLE)
        epoch = await store.epoch(tenant)
        await store.seal(call, binding, Reason.ACCESS_DENIED)
        assert not await store.unseal(call, binding, epoch)
        # Nor does silence hide the answer that has to be acted upon.
        await store.seal(call, binding, Reason.THROTTLED)
        now = await store.current(tenant)
        assert now is not None
        assert now.sealed_since is not None
        assert now.last_verify_error == "access_denied"
        assert await store.unseal(call, binding, await store.epoch(tenant))


async def test_a_verified_key_unseals_and_until_then_the_reason_stays(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws, sealed_retry=30.0) as kms:
        tenant, customer = await connected(kms, cloud)
        await kms.cloud(cloud.deny, customer.key_arn, ["kms:Decrypt"])
        kms.process.forget_all()
        assert await is_sealed(kms, tenant)
        await kms.cloud(cloud.deny, customer.key_arn, ["kms:Encrypt"])
        await refused("kms_verify_failed", kms.verify(tenant))
        assert (await shown_as_sealed(kms, tenant))["last_verify_error"] == "access_denied"
        await kms.cloud(cloud.allow, customer.key_arn)
        await kms.verify(tenant)

        async def unsealed() -> bool:
            config = (await kms.get(tenant))["config"]
            assert ("sealed_since" in config) == ("last_verify_error" in config)
            return "sealed_since" not in config

        await until(unsealed, 5, "unsealed long before the next try")
        await kms.generate(tenant)


async def test_a_tenant_sealed_before_a_restart_is_unsealed_though_nobody_asks(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws) as before:
        tenant, customer = await connected(before, cloud)
        await before.cloud(cloud.disable, customer.key_arn)
        before.process.forget_all()
        assert await is_sealed(before, tenant)
    cloud.enable(customer.key_arn)
    query = "select count(*) from kms.binding where sealed_since is not null"
    assert database.rows(query) == [(1,)]
    async with running_kms(database, pki, aws, sealed_retry=0.3):

        async def unsealed() -> bool:
            return database.rows(query) == [(0,)]

        await until(unsealed, 10, "unsealed")


async def test_only_kms_may_look_for_sealed_bindings_and_sees_ids_only(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await connected(kms, cloud)
    await kms.cloud(cloud.disable, customer.key_arn)
    await until(lambda: is_sealed(kms, tenant), TTL + 2, "sealed")
    ids = kms.database.rows("select tenant_id, id, 1::bigint from kms.binding")

    await shown_as_sealed(kms, tenant)
    query = "select * from kms.sealed_bindings(10)"
    with psycopg.connect(kms.database.dsn("coffer_kms")) as connection:
        assert connection.execute(query).fetchall() == ids
        assert connection.execute("select * from kms.sealed_bindings(0)").fetchall() == []
    for role in ("coffer_secrets", "coffer_rewrap"):
        with (
            psycopg.connect(kms.database.dsn(role)) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(query)


async def test_a_change_whose_caller_was_cancelled_in_commit_is_taken_note_of(
    kms: KmsStand, cloud: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, _ = await connected(kms, cloud)
    assert (await kms.generate(tenant)).key_version == 1
    rotate = Store.rotate

    async def cancelled_in_commit(*arguments: Any) -> None:
        await rotate(*arguments)
        raise asyncio.CancelledError

    monkeypatch.setattr(Store, "rotate", cancelled_in_commit)
    asking = asyncio.create_task(kms.rotate(tenant))

    async def moved() -> bool:
        return bool((await kms.generate(tenant)).key_version == 2)

    await until(moved, 10, "version 2 is used")
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


@contextlib.asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Database]:
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def _open(kms: KmsStand, tenant: UUID) -> bool:
    return not await is_sealed(kms, tenant)


async def test_a_new_version_in_one_process_is_used_by_the_others_at_once(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with (
        running_kms(database, pki, aws) as one,
        running_kms(database, pki, aws) as two,
    ):
        tenant, _ = await connected(one, cloud)
        assert (await two.generate(tenant)).key_version == 1
        await one.rotate(tenant)

        async def moved() -> bool:
            return bool((await two.generate(tenant)).key_version == 2)

        await until(moved, 2, "the other one uses version 2")


async def test_500_requests_at_once_are_one_kms_call(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws) as kms:
        tenant, customer = await connected(kms, cloud)
        key = (await kms.generate(tenant)).data_keys[0]
        await kms.cloud(cloud.slow, customer.key_arn, 0.3)
        kms.process.forget_all()
        before = await kms.cloud(cloud.count, "Decrypt", customer.key_arn)
        made, opened = await asyncio.gather(
            asyncio.gather(*(kms.generate(tenant) for _ in range(250))),
            asyncio.gather(*(kms.unwrap(tenant, (key.id, key.wrapped)) for _ in range(250))),
        )
        assert {one.key_version for one in made} == {1}
        assert {one.results[0].plaintext for one in opened} == {key.plaintext}
        assert await kms.cloud(cloud.count, "Decrypt", customer.key_arn) == before + 1


async def test_keys_in_use_are_refreshed_before_they_end_and_no_more_often(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await connected(kms, cloud)
    await kms.cloud(cloud.reset_ledger)
    started = time.monotonic()
    while time.monotonic() - started < 2.5 * TTL:
        await kms.generate(tenant)
        await asyncio.sleep(0.02)
    lasted = time.monotonic() - started
    calls = await kms.cloud(cloud.count, "Decrypt", customer.key_arn)
    # That no request waits for a refresh is shown on a clock of its own, in the unit tests.
    assert 1 <= calls <= 1 + lasted / (0.8 * TTL)


async def test_an_expired_session_is_made_anew(kms: KmsStand, cloud: Control) -> None:
    await kms.cloud(cloud.set_session_lifetime, 1.0)
    tenant, customer = await connected(kms, cloud)

    async def made_anew() -> bool:
        kms.process.forget_all()
        await kms.generate(tenant)
        return bool(await kms.cloud(cloud.count, "AssumeRole", customer.role_arn) >= 3)

    await until(made_anew, 10, "three sessions")
