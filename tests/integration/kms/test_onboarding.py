"""Connecting, replacing and rotating the customer's key: the real AWS SDK against a stand-in cloud."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from coffer.kms.v1 import kms_pb2

from devcloud.faults import FaultKind
from tests.fakes.kms_stand import onboarding, refused, running_kms

if TYPE_CHECKING:
    from uuid import UUID

    from devcloud.aws.seed import Customer
    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

TABLES = ("kms.key_ring", "kms.binding", "kms.master_key", "rewrap.lease", "audit.event")


def everything(kms: KmsStand) -> dict[str, list[str]]:
    return {
        table: sorted(str(row[0]) for row in kms.database.rows(f"select t::text from {table} t"))
        for table in TABLES
    }


async def tenant_and_customer(kms: KmsStand, cloud: Control) -> tuple[UUID, Customer]:
    tenant = kms.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
    customer = await kms.cloud(cloud.create_customer, external_id=f"coffer-{tenant}")
    return tenant, customer


async def test_onboarding_makes_version_lease_and_event_at_once(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    before = (await kms.generate(tenant)).data_keys[0]
    done = await kms.put(tenant, onboarding(customer))
    assert (done.ok, done.provider, done.kms_key_ref) == (True, "aws", customer.key_arn)
    assert (done.new_key_version, done.rewrap_status) == (2, "enqueued")
    assert kms.database.rows(
        "select version, id::text, wrap_method, status, provider_key_version from kms.master_key"
        " order by version desc limit 1"
    ) == [(2, done.new_key_id, "customer_kms", "active", customer.key_arn)]
    assert kms.database.rows("select reason, target_version, state from rewrap.lease") == [
        ("onboard", 2, "enqueued")
    ]
    actions = kms.database.rows("select action, actor from audit.event order by seq")
    assert actions == [
        ("kms.key.created", "service:secrets"),
        ("kms.onboarded", "admin:alice"),
    ]
    made = await kms.generate(tenant)
    assert made.key_version == 2
    assert made.usable_for_ms <= 300_000
    moved = await kms.rewrap(tenant, before.id + before.wrapped)
    assert moved.key_version == 2
    opened = await kms.unwrap(tenant, (before.id, moved.packed), (before.id, before.wrapped))
    assert [one.plaintext for one in opened.results] == [before.plaintext] * 2


async def test_the_first_onboarding_of_an_unused_tenant_is_version_1(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    assert (await kms.put(tenant, onboarding(customer))).new_key_version == 1


async def test_status_shows_binding_versions_and_census(kms: KmsStand, cloud: Control) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    await refused("no_kms_config", kms.get(tenant))
    await kms.generate(tenant)
    body = onboarding(customer)
    del body["config"]["external_id"]
    await kms.put(tenant, body)
    shown = await kms.get(tenant)
    assert shown["config"] == {
        "provider": "customer_kms_aws",
        "kms_key_ref": customer.key_arn,
        "config": {
            "region": customer.region,
            "role_arn": customer.role_arn,
            "external_id": f"coffer-{tenant}",  # the issued one, which is sent where none is given
        },
        "last_verified_at": shown["config"]["last_verified_at"],
    }
    assert [(key["version"], key["wrap_method"], key["status"]) for key in shown["keys"]] == [
        ("2", "customer_kms", "active"),
        ("1", "global", "retired"),
    ]
    assert "retired_at" in shown["keys"][1]
    assert "retired_at" not in shown["keys"][0]


async def test_setup_tells_the_principal_and_the_issued_external_id(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    request = kms_pb2.GetTenantKmsSetupRequest()
    reply = await kms.admin("GetTenantKmsSetup", tenant, request)
    assert reply.aws.principal_arn == kms.aws.announcement()["aws_principal_arn"]
    assert reply.aws.external_id == f"coffer-{tenant}"
    assert not reply.gcp.HasField("principal")


async def test_a_failed_probe_leaves_no_trace_and_the_old_binding_in_force(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, good = await tenant_and_customer(kms, cloud)
    await kms.put(tenant, onboarding(good))
    before = everything(kms)
    bad = await kms.cloud(cloud.create_customer, external_id="something-else")
    error = await refused(
        "kms_verify_failed",
        kms.put(tenant, onboarding(bad, external_id=f"coffer-{tenant}")),
    )
    assert (error.provider, error.reason) == ("aws", "access_denied")
    assert error.hint is not None
    assert bad.role_arn in error.hint
    assert "sts:AssumeRole" in error.hint
    assert everything(kms) == before
    assert (await kms.generate(tenant)).key_version == 1


async def test_a_key_that_fails_after_the_probe_is_not_stored(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    before = everything(kms)
    await kms.cloud(cloud.break_answers, FaultKind.CORRUPT, customer.key_arn, "Decrypt")
    error = await refused("kms_verify_failed", kms.put(tenant, onboarding(customer)))
    assert error.reason == "roundtrip_mismatch"
    assert everything(kms) == before


async def test_40_parallel_onboardings_make_40_versions_one_of_them_active(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    body = onboarding(customer)
    done = await asyncio.gather(*(kms.put(tenant, body) for _ in range(40)))
    assert sorted(one.new_key_version for one in done) == list(range(1, 41))
    assert kms.database.rows(
        "select status, count(*) from kms.master_key group by status order by status"
    ) == [("active", 1), ("retired", 39)]
    assert kms.database.rows("select version from kms.master_key where status = 'active'") == [
        (40,)
    ]
    assert kms.database.rows("select count(*) from kms.binding where replaced_at is null") == [(1,)]
    assert kms.database.rows(
        "select count(*), count(*) filter (where state = 'enqueued') from rewrap.lease"
    ) == [(40, 1)]


async def test_parallel_onboardings_over_several_processes_lose_none(
    database: TestDatabase, pki: TestPki, aws: AwsServer
) -> None:
    async with (
        running_kms(database, pki, aws) as one,
        running_kms(database, pki, aws) as two,
        running_kms(database, pki, aws) as three,
    ):
        with aws.control() as cloud:
            tenant, customer = await tenant_and_customer(one, cloud)
        body = onboarding(customer)
        crowd = [stand.put(tenant, body) for stand in (one, two, three) for _ in range(7)]
        done = await asyncio.gather(*crowd)
    assert sorted(reply.new_key_version for reply in done) == list(range(1, 22))
    assert database.rows("select count(*) from kms.binding where replaced_at is null") == [(1,)]


async def test_a_moved_alias_does_not_move_the_binding(kms: KmsStand, cloud: Control) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    await kms.put(tenant, onboarding(customer) | {"kms_key_ref": customer.alias_arn})
    key = (await kms.generate(tenant)).data_keys[0]
    other = await kms.cloud(cloud.create_key, account=customer.account, region=customer.region)
    await kms.cloud(cloud.point_alias, "alias/coffer", other.arn)
    kms.process.forget_all()
    opened = await kms.unwrap(tenant, (key.id, key.wrapped))
    assert opened.results[0].plaintext == key.plaintext
    await kms.rotate(tenant)
    assert kms.database.rows("select distinct provider_key_version from kms.master_key") == [
        (customer.key_arn,)
    ]


async def test_verify_proves_and_stores_nothing(kms: KmsStand, cloud: Control) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    await refused("no_kms_config", kms.verify(tenant))
    before = everything(kms)
    proof = await kms.verify(tenant, onboarding(customer))
    assert proof.ok
    assert proof.latency_ms.wrap > 0
    assert proof.latency_ms.unwrap > 0
    assert [check.name for check in proof.checks if check.ok] == ["wrap", "unwrap", "roundtrip"]
    assert everything(kms) == before


async def test_verify_of_the_stored_binding_records_the_outcome(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    await kms.put(tenant, onboarding(customer))
    await kms.cloud(cloud.deny, customer.key_arn, ["kms:Decrypt"])
    error = await refused("kms_verify_failed", kms.verify(tenant))
    assert error.hint is not None
    assert "kms:Decrypt" in error.hint
    config = (await kms.get(tenant))["config"]
    assert config["last_verify_error"] == "access_denied"
    verified = config["last_verified_at"]
    await kms.cloud(cloud.allow, customer.key_arn)
    await kms.verify(tenant)
    config = (await kms.get(tenant))["config"]
    assert "last_verify_error" not in config
    assert config["last_verified_at"] > verified
    events = "select action, details, actor from audit.event order by seq offset 1"
    failed, verified = kms.database.rows(events)
    assert failed[:2] == ("kms.verification_failed", '{"reason":"access_denied"}')
    assert verified[:2] == ("kms.verified", "{}")
    assert failed[2] == verified[2] == "admin:alice"


async def test_rotate_makes_a_version_and_a_lease_under_the_same_key(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    await refused("no_kms_config", kms.rotate(tenant))
    await kms.put(tenant, onboarding(customer))
    old = (await kms.generate(tenant)).data_keys[0]
    done = await kms.rotate(tenant)
    assert (done.rotated, done.new_version) == (True, 2)
    assert kms.database.rows(
        "select id, reason, state from rewrap.lease order by id desc limit 1"
    ) == [(done.rewrap_lease_id, "rotate", "enqueued")]
    assert (await kms.generate(tenant)).key_version == 2
    assert (await kms.unwrap(tenant, (old.id, old.wrapped))).results[0].plaintext == old.plaintext


async def test_a_step_up_token_works_once_even_when_the_rotation_then_fails(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    token = kms.pki.issuer.step_up_token(tenant)
    await refused("no_kms_config", kms.rotate(tenant, token))
    await kms.put(tenant, onboarding(customer))
    error = await refused("step_up_required", kms.rotate(tenant, token))
    assert error.reason == "used"
    assert kms.database.rows("select count(*) from kms.master_key") == [(1,)]


async def test_a_rotation_whose_wrap_fails_changes_nothing(kms: KmsStand, cloud: Control) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    await kms.put(tenant, onboarding(customer))
    before = everything(kms)
    await kms.cloud(cloud.deny, customer.key_arn, ["kms:Encrypt"])
    error = await refused("kms_verify_failed", kms.rotate(tenant))
    assert error.reason == "access_denied"
    assert everything(kms) == before
    assert (await kms.generate(tenant)).key_version == 1


async def test_parallel_rotations_get_a_version_each(kms: KmsStand, cloud: Control) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    await kms.put(tenant, onboarding(customer))
    done = await asyncio.gather(*(kms.rotate(tenant) for _ in range(8)))
    assert sorted(one.new_version for one in done) == list(range(2, 10))
    assert kms.database.rows("select count(*) from kms.master_key where status = 'active'") == [
        (1,)
    ]


async def test_a_viewer_may_not_even_look(kms: KmsStand) -> None:
    tenant = kms.database.create_tenant("a")
    request = kms_pb2.GetTenantKmsRequest()
    await refused("forbidden", kms.admin("GetTenantKms", tenant, request, role="viewer"))


async def test_static_credentials_are_refused_before_the_cloud_hears_of_anything(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    await kms.cloud(cloud.reset_ledger)
    body = onboarding(customer) | {"provider": 7, "Secret-Access-Key": "hunter2hunter2"}
    error = await refused("static_credentials_rejected", kms.put(tenant, body))
    assert list(error.fields) == ["Secret-Access-Key"]
    assert "hunter2" not in str(error.fields) + error.message + (error.hint or "")
    assert await kms.cloud(cloud.count) == 0


async def test_the_operators_own_account_is_refused(kms: KmsStand, cloud: Control) -> None:
    tenant, customer = await tenant_and_customer(kms, cloud)
    account = kms.aws.announcement()["aws_operator_account"]
    body = onboarding(customer, role_arn=f"arn:aws:iam::{account}:role/x")
    body["kms_key_ref"] = f"arn:aws:kms:{customer.region}:{account}:key/x"
    error = await refused("validation_error", kms.put(tenant, body))
    assert set(error.fields) == {"kms_key_ref", "config.role_arn"}
