"""A report that somebody keeps as evidence: what it says is what is stored, and there is one of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from coffer.kms.v1 import kms_pb2
from google.protobuf import json_format
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from cli.papers import verify_jws
from services.common.sensitive import SecretBytes
from tests.fakes.kms_stand import called, onboarding, refused, running_kms, signing_key_pem

if TYPE_CHECKING:
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki


async def connected(kms: KmsStand, cloud: Control) -> tuple[UUID, str]:
    """A tenant, and its key in the cloud."""
    tenant = kms.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
    customer = await kms.cloud(cloud.create_customer, external_id=f"coffer-{tenant}")
    await kms.put(tenant, onboarding(customer))
    return tenant, customer.key_arn


async def rotated(kms: KmsStand, cloud: Control) -> tuple[UUID, int]:
    """A tenant whose rotation issued a lease for version 2."""
    tenant, _ = await connected(kms, cloud)
    return tenant, int((await kms.rotate(tenant)).rewrap_lease_id)


def end(kms: KmsStand, lease: int, state: str = "completed", **columns: object) -> None:
    """The lease as rewrap would leave it."""
    told = {
        "state": state,
        "total": 10,
        "done": 10,
        "verified": 9,
        "kms_calls": 2,
        "census_before": json.dumps([{"version": 1, "data_keys": 10}]),
        "census_after": json.dumps([{"version": 2, "data_keys": 10}]),
        **columns,
    }
    kms.database.execute(
        f"update rewrap.lease set {', '.join(f'{name} = %s' for name in told)},"
        " started_at = clock_timestamp() - interval '5 s', finished_at = clock_timestamp()"
        " where id = %s",
        (*told.values(), lease),
    )


def store_keys(kms: KmsStand, tenant: UUID, version: int, count: int) -> None:
    kms.database.execute(
        "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
        " select %s, gen_random_uuid(), %s, decode(repeat('00', 68), 'hex')"
        " from generate_series(1, %s)",
        (tenant, version, count),
    )


async def report(kms: KmsStand, tenant: UUID, lease: int) -> kms_pb2.RewrapReport:
    request = kms_pb2.GetRewrapReportRequest(id=lease)
    reply = await kms.admin("GetRewrapReport", tenant, request, role="admin")
    found: kms_pb2.RewrapReport = reply.report
    return found


async def statement(kms: KmsStand, found: kms_pb2.RewrapReport) -> dict[str, Any]:
    """What was signed, checked with the published keys."""
    request = kms_pb2.GetSigningKeysRequest()
    reply = await called(kms.stub("gateway").GetSigningKeys(request, timeout=10))
    jwks = json_format.MessageToDict(reply, preserving_proto_field_name=True)
    return verify_jws(found.jws, jwks, "coffer-rewrap-report", "a report")[1]


def kept(database: TestDatabase, lease: int) -> set[str]:
    """The papers that are stored."""
    rows = database.rows("select jws from kms.rewrap_report where lease_id = %s", (lease,))
    return {str(jws) for (jws,) in rows}


def signed_events(database: TestDatabase, tenant: UUID) -> list[tuple[object, ...]]:
    """What the audit chain says of reports: of which lease, who signed, what."""
    return database.rows(
        "select resource_id, actor, details::jsonb ->> 'jws_sha256' from audit.event"
        " where tenant_id = %s and action = 'rewrap.report.signed'",
        (tenant,),
    )


def attempt(database: TestDatabase, role: str, tenant: UUID, statement: str) -> None:
    """With no code of ours between."""
    with psycopg.connect(database.dsn(role)) as connection:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant),))
        connection.execute(statement.encode())


async def test_the_report_says_what_the_lease_the_ring_and_the_tables_say(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, lease = await rotated(kms, cloud)
    store_keys(kms, tenant, 2, 11)
    store_keys(kms, tenant, 1, 2)
    damaged = uuid.uuid4()
    end(kms, lease, "failed", failed=1, failed_ids=[damaged], skipped=3)
    found = await report(kms, tenant, lease)
    said = await statement(kms, found)
    ((key_id, reference),) = kms.database.rows(
        "select id, provider_key_version from kms.master_key where tenant_id = %s and version = 2",
        (tenant,),
    )
    wanted = {
        "tenant_id": str(tenant),
        "lease_id": lease,
        "state": "failed",
        "reason": "rotate",
        "from_versions": {"versions": [1]},
        "to_version": 2,
        "to_key_id": str(key_id),
        "to_wrap_method": "customer_kms",
        "to_provider": "aws",
        "to_kms_key_ref": reference,
        "total": 10,
        "done": 10,
        "skipped": 3,
        "failed": 1,
        "failed_ids": [str(damaged)],
        "verified": 9,
        "kms_calls_waited_for": 2,
        "active_version_at_signing": 2,
        "revoked_versions": [],
        "duration_seconds": pytest.approx(5.0, abs=0.1),
        "census_before": {"versions": [{"version": 1, "data_keys": 10}]},
        "census_after": {"versions": [{"version": 2, "data_keys": 10}]},
        # Its own count, whatever rewrap has told.
        "census_at_signing": {
            "versions": [{"version": 1, "data_keys": 2}, {"version": 2, "data_keys": 11}]
        },
    }
    assert {name: said[name] for name in wanted} == wanted
    shown = kms_pb2.RewrapStatement()
    assert found.statement == json_format.ParseDict(said, shown)


async def test_however_many_ask_at_once_of_two_processes_there_is_one_paper(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    key = SecretBytes(signing_key_pem())
    async with (
        running_kms(database, pki, aws, signing_key=key) as one,
        running_kms(database, pki, aws, signing_key=key) as other,
    ):
        tenant, lease = await rotated(one, cloud)
        end(one, lease)
        sign = kms_pb2.SignRewrapReportRequest(tenant_id=str(tenant), lease_id=lease)
        signing = [
            called(kms.stub("rewrap").SignRewrapReport(sign, timeout=30)) for kms in (one, other)
        ]
        found = await asyncio.gather(
            *(report(kms, tenant, lease) for kms in (one, other) * 4), *signing
        )
        papers = {reply.jws for reply in found[:8]}
        assert len(papers) == 1
        store_keys(one, tenant, 2, 5)
        assert {(await report(other, tenant, lease)).jws} == papers
        assert kept(database, lease) == papers
        assert signed_events(database, tenant) == [
            (str(lease), "service:kms", hashlib.sha256(papers.pop().encode()).hexdigest())
        ]


async def test_no_service_replaces_a_report_nor_puts_another_in_its_place(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, lease = await rotated(kms, cloud)
    end(kms, lease)
    given = (await report(kms, tenant, lease)).jws
    add = f"insert into kms.rewrap_report values ('{tenant}', {lease}, 'x')"
    for role in ("coffer_kms", "coffer_rewrap", "coffer_secrets"):
        for statement in (
            "update kms.rewrap_report set jws = 'x'",
            "delete from kms.rewrap_report",
            add,
        ):
            with pytest.raises((InsufficientPrivilege, UniqueViolation)):
                attempt(kms.database, role, tenant, statement)
    # Nor does it matter what becomes of the lease.
    end(kms, lease, verified=1_000_000, done=1_000_010)
    assert (await report(kms, tenant, lease)).jws == given
    kms.database.execute("delete from rewrap.lease where id = %s", (lease,))
    assert (await report(kms, tenant, lease)).jws == given
    other = int((await kms.rotate(tenant)).rewrap_lease_id)
    kms.database.execute("update kms.rewrap_report set lease_id = %s", (other,))
    await refused("internal_error", report(kms, tenant, other))


async def test_the_report_tells_of_what_was_revoked_meanwhile_and_what_is_active_now(
    kms: KmsStand, cloud: Control
) -> None:
    """Whoever reads it knows where keys of the total went, and which empty version must not go."""
    tenant, _ = await connected(kms, cloud)
    versions = [1, *[int((await kms.rotate(tenant)).new_version) for _ in range(4)]]
    lease = int((await kms.rotate(tenant)).rewrap_lease_id)
    end(kms, lease, total=None, census_before=None, census_after=None)
    kms.database.execute("update rewrap.lease set started_at = null where id = %s", (lease,))
    revoke = (
        "update kms.master_key set status = 'revoked', wrapped = null, revoked_at = (select"
        " created_at from rewrap.lease where id = %s) + %s * interval '1 microsecond'"
        " where tenant_id = %s and version = %s"
    )
    for version, offset in zip(versions, (-1, 0, 1), strict=False):
        kms.database.execute(revoke, (lease, offset, tenant, version))
    active = int((await kms.rotate(tenant)).new_version)
    said = await statement(kms, await report(kms, tenant, lease))
    assert said["revoked_versions"] == versions[1:3]
    assert (said["active_version_at_signing"], said["to_version"]) == (active, active - 1)
    assert said["census_at_signing"] == {"versions": []}
    assert said["from_versions"] is None
    (promise,) = (one for one in said["covers"] if "may be revoked" in one)
    assert "except active_version_at_signing" in promise


async def test_there_is_none_of_a_lease_that_runs_and_none_for_other_tenants(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, lease = await rotated(kms, cloud)
    error = await refused("invalid_state", report(kms, tenant, lease))
    assert "enqueued" in error.message
    end(kms, lease)
    stranger = kms.database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
    await refused("not_found", report(kms, stranger, lease))
    await refused("not_found", report(kms, tenant, lease + 1000))
    viewer = kms.admin(
        "GetRewrapReport", tenant, kms_pb2.GetRewrapReportRequest(id=lease), role="viewer"
    )
    await refused("forbidden", viewer)
    sign = kms_pb2.SignRewrapReportRequest(tenant_id=str(tenant), lease_id=lease)
    await refused("forbidden", called(kms.stub("secrets").SignRewrapReport(sign, timeout=10)))
    assert not kept(kms.database, lease)
    assert not signed_events(kms.database, tenant)
    assert (await report(kms, tenant, lease)).jws


async def test_batches_tell_as_many_requests_as_the_cloud_saw(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, key_arn = await connected(kms, cloud)
    key = (await kms.generate(tenant)).data_keys[0]
    await kms.rotate(tenant)
    kms.process.forget_all()
    before = await kms.cloud(cloud.count, "Decrypt", key_arn)
    batches = [kms.rewrap(tenant, key.id + key.wrapped) for _ in range(6)]
    told = [reply.kms_calls for reply in await asyncio.gather(*batches)]
    assert sum(told) == await kms.cloud(cloud.count, "Decrypt", key_arn) - before == 2
    assert (await kms.rewrap(tenant, key.id + key.wrapped)).kms_calls == 0
