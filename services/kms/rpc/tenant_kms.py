"""The rpcs of `/admin/tenant-kms`: protobuf to use cases and back. No rule lives here."""

# ruff: noqa: N802, ARG002 - names and signatures are those of the generated base class
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coffer.kms.v1 import kms_pb2

from services.common.identity import current_call
from services.common.rpc.answering import answer
from services.kms.rpc.words import members, time
from services.kms.validation import CONFIG_FIELDS, issued_external_id

if TYPE_CHECKING:
    from services.kms.model import KeyReport, Onboarded, Proof, TenantKms
    from services.kms.service import TenantKmsService

_NOTE: Final = (
    "New values are encrypted under the new key from now on; existing data keys are being rewrapped in the"
    " background. Open keys are kept for at most 5 minutes, so taking the grant away seals the tenant"
    " within that time."
)


class TenantKmsRpcs:
    """Connect, look, prove, rotate, unseal, leave."""

    def __init__(self, tenant_kms: TenantKmsService) -> None:
        self._tenant_kms = tenant_kms

    async def PutTenantKms(
        self, request: kms_pb2.PutTenantKmsRequest, context: Any
    ) -> kms_pb2.PutTenantKmsResponse:
        """POST /admin/tenant-kms."""
        body = members(request.body)
        return await answer(lambda call: self._tenant_kms.put(call, body), _onboarded)

    async def GetTenantKms(
        self, request: kms_pb2.GetTenantKmsRequest, context: Any
    ) -> kms_pb2.GetTenantKmsResponse:
        """GET /admin/tenant-kms."""
        return _status(await self._tenant_kms.describe(current_call()))

    async def GetTenantKmsSetup(
        self, request: kms_pb2.GetTenantKmsSetupRequest, context: Any
    ) -> kms_pb2.GetTenantKmsSetupResponse:
        """GET /admin/tenant-kms/setup."""
        facts = self._tenant_kms.setup
        reply = kms_pb2.GetTenantKmsSetupResponse
        return reply(
            aws=reply.Aws(
                principal_arn=facts.aws_principal_arn,
                external_id=issued_external_id(current_call().tenant),
            ),
            gcp=reply.Gcp(principal=facts.gcp_principal),
            azure=reply.Azure(application_id=facts.azure_application_id),
        )

    async def VerifyTenantKms(
        self, request: kms_pb2.VerifyTenantKmsRequest, context: Any
    ) -> kms_pb2.VerifyTenantKmsResponse:
        """POST /admin/tenant-kms/verify."""
        body = members(request.body)
        return await answer(lambda call: self._tenant_kms.verify(call, body), _verified)

    async def RotateMasterKey(
        self, request: kms_pb2.RotateMasterKeyRequest, context: Any
    ) -> kms_pb2.RotateMasterKeyResponse:
        """POST /admin/tenant-kms/rotate."""
        return await answer(
            self._tenant_kms.rotate,
            lambda done: kms_pb2.RotateMasterKeyResponse(
                rotated=True, new_version=done.version, rewrap_lease_id=done.lease_id
            ),
        )

    async def UnsealTenant(
        self, request: kms_pb2.UnsealTenantRequest, context: Any
    ) -> kms_pb2.UnsealTenantResponse:
        """POST /admin/tenant-kms/unseal."""
        return await answer(
            self._tenant_kms.unseal, lambda _: kms_pb2.UnsealTenantResponse(unsealed=True)
        )

    async def DeleteTenantKms(
        self, request: kms_pb2.DeleteTenantKmsRequest, context: Any
    ) -> kms_pb2.DeleteTenantKmsResponse:
        """DELETE /admin/tenant-kms."""
        return await answer(
            self._tenant_kms.offboard,
            lambda done: kms_pb2.DeleteTenantKmsResponse(
                ok=True, new_key_version=done.version, rewrap_lease_id=done.lease_id
            ),
        )


def _onboarded(done: Onboarded) -> kms_pb2.PutTenantKmsResponse:
    return kms_pb2.PutTenantKmsResponse(
        ok=True,
        provider=done.target.provider,
        kms_key_ref=done.target.kms_key_ref,
        new_key_version=done.activated.version,
        new_key_id=str(done.activated.key_id),
        rewrap_status="enqueued",
        note=_NOTE,
    )


def _verified(proof: Proof) -> kms_pb2.VerifyTenantKmsResponse:
    reply = kms_pb2.VerifyTenantKmsResponse
    wrapped_by = f" by {proof.key_ref}" if proof.key_ref else ""
    return reply(
        ok=True,
        latency_ms=reply.Latency(wrap=round(proof.wrap_ms, 1), unwrap=round(proof.unwrap_ms, 1)),
        checks=[
            reply.Check(name="wrap", ok=True, detail=f"32 random bytes were wrapped{wrapped_by}."),
            reply.Check(name="unwrap", ok=True, detail="The wrapped bytes were unwrapped."),
            reply.Check(name="roundtrip", ok=True, detail="What came back is what was wrapped."),
        ],
    )


def _status(found: TenantKms) -> kms_pb2.GetTenantKmsResponse:
    binding = found.binding
    target = binding.target
    config = kms_pb2.TenantKmsConfig(
        provider=f"customer_kms_{target.provider}",
        kms_key_ref=target.kms_key_ref,
        sealed_since=time(binding.sealed_since),
        last_verified_at=time(binding.last_verified_at),
        last_verify_error=binding.last_verify_error,
    )
    for name in CONFIG_FIELDS[target.provider]:
        config.config[name] = target.config.get(name)
    if target.provider == "aws" and not target.config.get("external_id"):
        config.config["external_id"] = issued_external_id(binding.tenant_id)  # what is really sent
    return kms_pb2.GetTenantKmsResponse(
        config=config,
        keys=[_version(key) for key in found.keys],
        draining=True if binding.draining else None,
    )


def _version(key: KeyReport) -> kms_pb2.MasterKeyVersion:
    return kms_pb2.MasterKeyVersion(
        id=str(key.id),
        version=key.version,
        wrap_method=key.wrap_method,
        status=key.status,
        created_at=time(key.created_at),
        retired_at=time(key.retired_at),
        data_keys=key.data_keys,
    )
