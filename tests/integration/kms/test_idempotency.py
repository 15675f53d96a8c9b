"""What an administrator's repeated request must not do twice to a tenant's keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coffer.kms.v1 import kms_pb2

from services.common.errors import CofferError
from tests.fakes.kms_life import connected, events, has_no_config, leases, seal
from tests.fakes.kms_stand import called, onboarding, running_kms, struct

if TYPE_CHECKING:
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki


@dataclass(frozen=True)
class Asked:
    """A request that may be sent again and again, as it is: with its key and its step-up token."""

    tenant: UUID
    rpc: str
    request: Any
    step_up: str

    @classmethod
    def of(cls, kms: KmsStand, tenant: UUID, rpc: str, request: Any) -> Asked:
        return cls(tenant, rpc, request, kms.pki.issuer.step_up_token(tenant))

    async def send(self, kms: KmsStand) -> tuple[Any, bool]:
        """The reply or the code of the refusal, and whether it is said to be replayed."""
        metadata = (
            ("authorization", f"Bearer {kms.pki.issuer.admin_token(self.tenant)}"),
            ("x-knoxcall-stepup", self.step_up),
            ("idempotency-key", f"key of {self.rpc}"),
        )
        call = getattr(kms.stub("gateway"), self.rpc)(self.request, metadata=metadata, timeout=30)
        try:
            reply = await called(call)
        except CofferError as error:
            reply = error.code
        return reply, ("idempotent-replayed", "true") in tuple(await call.initial_metadata())


async def test_every_change_of_a_key_ring_replays_with_its_used_step_up_token(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, customer = await connected(kms, cloud)
    await seal(kms, cloud, tenant, customer)
    await kms.cloud(cloud.enable, customer.key_arn)
    slug = kms.database.rows("select slug from tenancy.tenant where tenant_id = %s", (tenant,))
    body = struct(onboarding(customer))
    for rpc, request in (
        ("UnsealTenant", kms_pb2.UnsealTenantRequest()),
        ("PutTenantKms", kms_pb2.PutTenantKmsRequest(body=body)),
        ("VerifyTenantKms", kms_pb2.VerifyTenantKmsRequest()),
        ("RotateMasterKey", kms_pb2.RotateMasterKeyRequest()),
        ("RevokeKeyVersion", kms_pb2.RevokeKeyVersionRequest(version=1, confirm=str(slug[0][0]))),
        ("DeleteTenantKms", kms_pb2.DeleteTenantKmsRequest()),
    ):
        asked = Asked.of(kms, tenant, rpc, request)
        first, replayed = await asked.send(kms)
        assert not isinstance(first, str), (rpc, first)
        assert not replayed
        before = (events(kms, tenant), leases(kms, tenant))
        assert await asked.send(kms) == (first, True)
        assert (events(kms, tenant), leases(kms, tenant)) == before


async def test_a_refusal_stands_for_its_key_and_a_bad_token_for_nothing(
    kms: KmsStand, cloud: Control
) -> None:
    tenant, _ = await connected(kms, cloud)
    revoke = kms_pb2.RevokeKeyVersionRequest(version=1, confirm="another")
    asked = Asked.of(kms, tenant, "RevokeKeyVersion", revoke)
    assert await asked.send(kms) == ("validation_error", False)
    assert await asked.send(kms) == ("validation_error", False)
    unseal = Asked.of(kms, tenant, "UnsealTenant", kms_pb2.UnsealTenantRequest())
    assert await unseal.send(kms) == ("not_sealed", False)
    assert await unseal.send(kms) == ("not_sealed", True)
    spent = Asked(tenant, "RotateMasterKey", kms_pb2.RotateMasterKeyRequest(), unseal.step_up)
    assert await spent.send(kms) == ("step_up_required", False)
    again = Asked.of(kms, tenant, "RotateMasterKey", kms_pb2.RotateMasterKeyRequest())
    reply, replayed = await again.send(kms)
    assert (reply.new_version, replayed) == (2, False)


async def test_copies_of_a_rotation_in_two_processes_make_one_version(
    database: TestDatabase, pki: TestPki, aws: AwsServer, cloud: Control
) -> None:
    async with running_kms(database, pki, aws) as one, running_kms(database, pki, aws) as other:
        tenant, _ = await connected(one, cloud)
        asked = Asked.of(one, tenant, "RotateMasterKey", kms_pb2.RotateMasterKeyRequest())
        found = await asyncio.gather(*(asked.send((one, other)[n % 2]) for n in range(6)))
        assert {reply.new_version for reply, _ in found} == {2}
        assert sum(replayed for _, replayed in found) == 5
        assert not await has_no_config(one, tenant)
