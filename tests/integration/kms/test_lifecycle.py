"""A key's way after it was connected: sealed and unsealed by hand, and left for the platform's key."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import psycopg
from coffer.kms.v1 import kms_pb2

from devcloud.aws.model import KeyState
from services.common.errors import CofferError
from tests.fakes.kms_life import (
    calls_to,
    connected,
    customer_of,
    events,
    has_no_config,
    leases,
    seal,
)
from tests.fakes.kms_stand import onboarding, refused, running_kms, until
from tests.fakes.kms_stored_keys import StoredKeys

if TYPE_CHECKING:
    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki


# Unseal


async def test_unsealing_asks_at_once_and_says_what_is_still_wrong(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws, sealed_retry=30.0) as kms:
        tenant, customer = await connected(kms, cloud)
        await seal(kms, cloud, tenant, customer)
        error = await refused("unseal_failed", kms.unseal(tenant))
        assert (error.http_status, error.reason, error.provider) == (502, "access_denied", "aws")
        assert error.hint is not None
        assert error.hint.startswith("key_disabled: ")
        assert customer.key_arn in error.hint
        await kms.cloud(cloud.enable, customer.key_arn)
        await kms.cloud(cloud.throttle, customer.key_arn)
        error = await refused("unseal_failed", kms.unseal(tenant))
        assert error.reason == "unreachable"
        assert error.hint is not None
        assert error.hint.startswith("throttled: ")
        assert (await kms.get(tenant))["config"]["last_verify_error"] == "key_disabled"
        await kms.cloud(cloud.clear_faults)
        assert await kms.unseal(tenant)
        config = (await kms.get(tenant))["config"]
        assert not {"sealed_since", "last_verify_error"} & config.keys()
        await kms.generate(tenant)
        assert events(kms, tenant)[-2:] == [
            ("kms.sealed", "service:kms"),
            ("kms.unsealed", "admin:alice"),
        ]


async def test_unsealing_what_is_not_sealed_is_told_so_and_costs_the_token(
    kms: KmsStand, cloud: Control
) -> None:
    stranger = kms.database.create_tenant("none")
    await kms.generate(stranger)
    await refused("no_kms_config", kms.unseal(stranger))
    tenant, _ = await connected(kms, cloud)
    token = kms.pki.issuer.step_up_token(tenant)
    error = await refused("not_sealed", kms.unseal(tenant, token))
    assert error.http_status == 409
    assert (await refused("step_up_required", kms.unseal(tenant, token))).reason == "used"
    assert (await refused("step_up_required", kms.unseal(tenant, ""))).reason == "missing"
    late = kms.pki.issuer.step_up_token(tenant, auth_time=time.time() - 121)
    await refused("step_up_expired", kms.unseal(tenant, late))


async def test_a_crowd_that_unseals_is_let_in_without_a_crowd_of_calls(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws, sealed_retry=30.0) as kms:
        tenant, customer = await connected(kms, cloud)
        await seal(kms, cloud, tenant, customer)
        await kms.cloud(cloud.enable, customer.key_arn)
        await kms.cloud(cloud.reset_ledger)
        crowd = (kms.unseal(tenant) for _ in range(8))
        done = await asyncio.gather(*crowd, return_exceptions=True)
        assert True in done
        for one in done:
            assert one is True or (isinstance(one, CofferError) and one.code == "not_sealed")
        assert await kms.cloud(cloud.count, "Decrypt", customer.key_arn) == 1


# Back to the platform's key


async def test_a_customer_goes_back_and_its_key_is_left_when_nothing_needs_it(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await connected(kms, cloud)
    stored = StoredKeys(kms, tenant)
    await stored.add(20)
    done = await kms.offboard(tenant)
    assert (done.ok, done.new_key_version) == (True, 2)
    assert leases(kms, tenant) == [("onboard", 1, "superseded"), ("offboard", 2, "enqueued")]
    assert (
        kms.database.rows("select max(id) from rewrap.lease where tenant_id = %s", (tenant,))
    ) == [(done.rewrap_lease_id,)]
    shown = await kms.get(tenant)
    assert shown["draining"] is True
    assert shown["config"]["kms_key_ref"] == customer.key_arn
    assert [(key["wrap_method"], key["status"]) for key in shown["keys"]] == [
        ("global", "active"),
        ("customer_kms", "retired"),
    ]
    assert (await kms.generate(tenant)).key_version == 2
    await stored.hold_open()
    await kms.verify(tenant)
    for again in (kms.rotate(tenant), kms.offboard(tenant)):
        error = await refused("invalid_state", again)
        assert (error.http_status, error.reason) == (409, "draining")
        assert error.hint
    await refused("not_sealed", kms.unseal(tenant))

    await stored.rewrap_all()
    await until(lambda: has_no_config(kms, tenant), 5, "left")
    assert kms.database.rows(
        "select r.current_binding_id, r.draining, b.replaced_at is not null from kms.key_ring r"
        " join kms.binding b using (tenant_id) where tenant_id = %s",
        (tenant,),
    ) == [(None, False, True)]
    assert events(kms, tenant) == [
        ("kms.onboarded", "admin:alice"),
        ("kms.offboarded", "admin:alice"),
        ("kms.verified", "admin:alice"),
        ("kms.drained", "service:kms"),
    ]
    await kms.cloud(cloud.set_key_state, customer.key_arn, KeyState.GONE)
    kms.process.forget_all()
    await stored.hold_open()
    await refused("no_kms_config", kms.offboard(tenant))
    await refused("no_kms_config", kms.rotate(tenant))
    await refused("no_kms_config", kms.unseal(tenant))
    # And may come again.
    another = await customer_of(kms, cloud, tenant)
    assert (await kms.put(tenant, onboarding(another))).new_key_version == 3


async def test_who_has_only_the_platforms_keys_has_nothing_to_leave(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("none")
    await kms.generate(tenant)
    await refused("no_kms_config", kms.offboard(tenant))
    assert (await refused("step_up_required", kms.offboard(tenant, ""))).reason == "missing"
    late = kms.pki.issuer.step_up_token(tenant, auth_time=time.time() - 301)
    await refused("step_up_expired", kms.offboard(tenant, late))
    assert (await kms.generate(tenant)).key_version == 1


async def test_a_sealed_customer_leaves_and_the_rest_follows_once_it_is_unsealed(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await connected(kms, cloud)
    stored = StoredKeys(kms, tenant)
    await stored.add(5)
    await seal(kms, cloud, tenant, customer)
    assert (await kms.offboard(tenant)).new_key_version == 2
    assert (await kms.generate(tenant)).key_version == 2
    assert await stored.sealed()
    shown = await kms.get(tenant)
    assert shown["draining"] is True
    assert shown["config"]["last_verify_error"] == "key_disabled"
    error = await refused("unseal_failed", kms.unseal(tenant))
    assert error.reason == "access_denied"
    await kms.cloud(cloud.enable, customer.key_arn)

    async def unsealed() -> bool:
        return "sealed_since" not in (await kms.get(tenant))["config"]

    await until(unsealed, 5, "a draining binding is tried again by itself")
    await stored.hold_open()
    await stored.rewrap_all()
    await until(lambda: has_no_config(kms, tenant), 5, "left")


async def test_a_key_that_is_gone_for_good_is_left_by_erasing_what_hangs_on_it(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await connected(kms, cloud)
    stored = StoredKeys(kms, tenant)
    await stored.add(3)
    await kms.cloud(cloud.set_key_state, customer.key_arn, KeyState.GONE)
    kms.process.forget_all()
    await refused("tenant_sealed", kms.generate(tenant))
    await kms.offboard(tenant)
    error = await refused("unseal_failed", kms.unseal(tenant))
    assert (error.hint or "").startswith("key_not_found: ")
    assert (await kms.get(tenant))["draining"] is True, "nobody but the customer says what is lost"
    (slug,) = kms.database.rows("select slug from tenancy.tenant where tenant_id = %s", (tenant,))[
        0
    ]
    request = kms_pb2.RevokeKeyVersionRequest(version=1, confirm=str(slug), force=True)
    token = kms.pki.issuer.step_up_token(tenant)
    await kms.admin("RevokeKeyVersion", tenant, request, step_up=token)
    await until(lambda: has_no_config(kms, tenant), 5, "left")
    await kms.cloud(cloud.reset_ledger)
    assert (await kms.generate(tenant)).key_version == 2
    assert await calls_to(kms, cloud, customer) == 0


async def test_a_drained_key_is_left_though_nobody_looks_and_the_process_was_another(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    left = "select count(*) from kms.binding where replaced_at is not null"
    async with running_kms(database, pki, aws) as before:
        tenant, _ = await connected(before, cloud)
        stored = StoredKeys(before, tenant)
        await stored.add(1)
        await before.offboard(tenant)
        assert not await has_no_config(before, tenant)
        assert database.rows(left) == [(0,)]
    database.execute("delete from secrets.data_key")
    async with running_kms(database, pki, aws) as one, running_kms(database, pki, aws) as two:

        async def gone() -> bool:
            return database.rows(left) == [(1,)]

        await until(gone, 10, "left")
        assert await has_no_config(one, tenant)
        assert await has_no_config(two, tenant)
        assert [action for action, _ in events(one, tenant)].count("kms.drained") == 1


async def test_looking_works_while_others_hold_the_ring(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    # Of this database alone; the default of 10 s would make a slow test.
    (name,) = database.rows("select current_database()")[0]
    database.execute(f"alter role coffer_kms in database {name} set lock_timeout = '200ms'")
    async with running_kms(database, pki, aws) as kms:
        tenant, _ = await connected(kms, cloud)
        stored = StoredKeys(kms, tenant)
        await stored.add(1)
        await kms.offboard(tenant)
        with psycopg.connect(database.admin_dsn) as holder:
            lock = "select pg_advisory_xact_lock_shared(kms.ring_lock(%s))"
            holder.execute(lock, (tenant,))
            database.execute("delete from secrets.data_key")
            assert (await kms.get(tenant))["draining"] is True
        await until(lambda: has_no_config(kms, tenant), 5, "left")


async def test_connecting_again_ends_the_leaving(kms: KmsStand, cloud: Control) -> None:
    tenant, first = await connected(kms, cloud)
    stored = StoredKeys(kms, tenant)
    await stored.add(3)
    await kms.offboard(tenant)
    await stored.add(3)
    another = await customer_of(kms, cloud, tenant)
    assert (await kms.put(tenant, onboarding(another))).new_key_version == 3
    shown = await kms.get(tenant)
    assert "draining" not in shown
    assert shown["config"]["kms_key_ref"] == another.key_arn
    assert (await kms.rotate(tenant)).new_version == 4
    await stored.hold_open()
    await stored.rewrap_all()
    await kms.cloud(cloud.set_key_state, first.key_arn, KeyState.GONE)
    kms.process.forget_all()
    await stored.hold_open()
    assert not await has_no_config(kms, tenant)
