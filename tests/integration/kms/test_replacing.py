"""Replacing a connected key: what hangs on the old one, when that is left in peace, who may do it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from devcloud.aws.model import KeyState
from tests.fakes.kms_life import (
    calls_to,
    connected,
    customer_of,
    has_no_config,
    quiet,
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

MANY = 3_000


async def test_a_replaced_cloud_key_opens_what_hangs_on_it_and_is_then_never_asked_again(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    ttl = 1.0
    async with running_kms(database, pki, aws, customer_ttl=ttl) as kms:
        tenant, old = await connected(kms, cloud)
        stored = StoredKeys(kms, tenant)
        await stored.add(MANY)
        new = await customer_of(kms, cloud, tenant)
        await kms.put(tenant, onboarding(new))
        while await stored.rewrap(MANY // 10):
            await stored.hold_open(50)
            await stored.add(5)
            await stored.hold_open(50)
        census = {
            key["version"]: key.get("data_keys", "0") for key in (await kms.get(tenant))["keys"]
        }
        assert census == {"2": str(len(stored.plain)), "1": "0"}

        await until(lambda: quiet(kms, cloud, old), 5, "what was under way has ended")
        await kms.cloud(cloud.reset_ledger)
        started = time.monotonic()
        while time.monotonic() - started < 3 * ttl:
            await stored.hold_open(20)
            await kms.generate(tenant)
            await kms.get(tenant)
        assert await kms.cloud(cloud.count, "Decrypt", new.key_arn) > 0
        assert await calls_to(kms, cloud, old) == 0
        await kms.cloud(cloud.set_key_state, old.key_arn, KeyState.GONE)
        kms.process.forget_all()
        await stored.hold_open()
        assert await calls_to(kms, cloud, old) == 0


async def test_a_sealed_key_that_was_replaced_seals_only_what_hangs_on_it(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, old = await connected(kms, cloud)
    stored = StoredKeys(kms, tenant)
    await stored.add(5)
    await seal(kms, cloud, tenant, old)
    new = await customer_of(kms, cloud, tenant)
    await kms.put(tenant, onboarding(new))
    assert (await kms.generate(tenant)).key_version == 2
    assert await stored.sealed()
    assert "sealed_since" not in (await kms.get(tenant))["config"], "that is the current key's"
    await refused("not_sealed", kms.unseal(tenant))
    await kms.cloud(cloud.enable, old.key_arn)

    async def opens() -> bool:
        return not await stored.sealed()

    await until(opens, 5, "it is tried again while somebody asks")
    await stored.rewrap_all()
    await stored.hold_open()


async def test_a_sealed_key_that_was_replaced_is_left_alone_once_nothing_needs_it(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, old = await connected(kms, cloud)
    in_hand = (await kms.generate(tenant)).data_keys[0]
    await seal(kms, cloud, tenant, old)
    new = await customer_of(kms, cloud, tenant)
    await kms.put(tenant, onboarding(new))
    await kms.unwrap(tenant, (in_hand.id, in_hand.wrapped))
    await kms.cloud(cloud.reset_ledger)
    started = time.monotonic()
    while time.monotonic() - started < 1.5:  # five times the pause between tries
        opened = await kms.unwrap(tenant, (in_hand.id, in_hand.wrapped))
        assert opened.results[0].fault
        await kms.generate(tenant)
    assert await calls_to(kms, cloud, old) == 0


# Step-up on replacement


async def test_where_the_operator_asks_for_it_a_replacement_needs_step_up(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws, step_up_on_replace=True) as kms:
        tenant, _ = await connected(kms, cloud)  # the first needs none
        body = onboarding(await customer_of(kms, cloud, tenant))
        stolen = body | {"password": "hunter2hunter2"}
        await kms.cloud(cloud.reset_ledger)
        assert (await refused("step_up_required", kms.put(tenant, stolen))).reason == "missing"
        assert (
            await refused("step_up_required", kms.put(tenant, body, "garbage"))
        ).reason == "invalid"
        late = pki.issuer.step_up_token(tenant, auth_time=time.time() - 301)
        await refused("step_up_expired", kms.put(tenant, body, late))
        token = pki.issuer.step_up_token(tenant)
        await refused("static_credentials_rejected", kms.put(tenant, stolen, token))
        await refused("validation_error", kms.put(tenant, body | {"provider": "x"}, token))
        assert await kms.cloud(cloud.count) == 0
        # What was refused before it could have an effect did not cost the token.
        assert (await kms.put(tenant, body, token)).new_key_version == 2
        assert (await refused("step_up_required", kms.put(tenant, body, token))).reason == "used"
        await kms.offboard(tenant)
        if not await has_no_config(kms, tenant):
            await refused("step_up_required", kms.put(tenant, body))


async def test_a_draining_key_is_not_replaced_without_step_up_either(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws, step_up_on_replace=True) as kms:
        tenant, _ = await connected(kms, cloud)
        await StoredKeys(kms, tenant).add(1)
        await kms.offboard(tenant)
        body = onboarding(await customer_of(kms, cloud, tenant))
        await refused("step_up_required", kms.put(tenant, body))
        await kms.put(tenant, body, pki.issuer.step_up_token(tenant))


async def test_a_first_key_that_is_overtaken_does_not_slip_in_as_a_replacement(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with (
        running_kms(database, pki, aws, step_up_on_replace=True) as one,
        running_kms(database, pki, aws, step_up_on_replace=True) as two,
    ):
        tenant = database.create_tenant("a")
        slow, quick = [await customer_of(one, cloud, tenant) for _ in range(2)]
        await one.cloud(cloud.slow, slow.key_arn, 1.0)
        overtaken = asyncio.create_task(one.put(tenant, onboarding(slow)))

        async def under_way() -> bool:
            tallies = await one.cloud(cloud.tallies)
            return any(tally.resource == slow.key_arn for tally in tallies)

        await until(under_way, 5, "the slow one is being proven")
        await two.put(tenant, onboarding(quick))
        assert (await refused("step_up_required", overtaken)).reason == "missing"
        assert (await one.get(tenant))["config"]["kms_key_ref"] == quick.key_arn


async def test_where_nobody_asks_for_step_up_a_bad_token_is_as_good_as_none(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, _ = await connected(kms, cloud)
    body = onboarding(await customer_of(kms, cloud, tenant))
    assert (await kms.put(tenant, body, "garbage")).new_key_version == 2
