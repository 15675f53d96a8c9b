"""The servicer: protobuf to use cases and back. No rule lives here but the sizes of requests."""

# ruff: noqa: N802, ARG002 - names and signatures are those of the generated base class
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from coffer.kms.v1 import kms_pb2, kms_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.envelope import DATA_KEY_RECORD_BYTES
from services.common.errors import ValidationError
from services.common.identity import current_call
from services.kms.data_keys import MAX_GENERATED, MAX_REWRAPPED, MAX_UNWRAPPED
from services.kms.model import DataKeyFault
from services.kms.validation import CONFIG_FIELDS, issued_external_id

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.struct_pb2 import Struct, Value

    from services.kms.data_keys import DataKeys
    from services.kms.model import KeyReport, TenantKms
    from services.kms.service import TenantKmsService

_FAULTS: Final = {
    DataKeyFault.DAMAGED: kms_pb2.DATA_KEY_FAULT_DAMAGED,
    DataKeyFault.REVOKED: kms_pb2.DATA_KEY_FAULT_REVOKED,
    DataKeyFault.SEALED: kms_pb2.DATA_KEY_FAULT_SEALED,
    DataKeyFault.UNKNOWN_VERSION: kms_pb2.DATA_KEY_FAULT_UNKNOWN_VERSION,
}
_NOTE: Final = (
    "New values are encrypted under the new key from now on; existing data keys are being rewrapped in the"
    " background. Open keys are kept for at most 5 minutes, so taking the grant away seals the tenant"
    " within that time."
)


class KmsServicer(kms_pb2_grpc.KmsServiceServicer):
    """Every rpc of coffer.kms.v1.KmsService. Who may call is decided before."""

    def __init__(self, tenant_kms: TenantKmsService, data_keys: DataKeys) -> None:
        self._tenant_kms = tenant_kms
        self._data_keys = data_keys

    async def PutTenantKms(
        self, request: kms_pb2.PutTenantKmsRequest, context: Any
    ) -> kms_pb2.PutTenantKmsResponse:
        """POST /admin/tenant-kms."""
        done = await self._tenant_kms.put(current_call(), _members(request.body))
        return kms_pb2.PutTenantKmsResponse(
            ok=True,
            provider=done.target.provider,
            kms_key_ref=done.target.kms_key_ref,
            new_key_version=done.activated.version,
            new_key_id=str(done.activated.key_id),
            rewrap_status="enqueued",
            note=_NOTE,
        )

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
        proof = await self._tenant_kms.verify(current_call(), _members(request.body))
        reply = kms_pb2.VerifyTenantKmsResponse
        wrapped_by = f" by {proof.key_ref}" if proof.key_ref else ""
        return reply(
            ok=True,
            latency_ms=reply.Latency(
                wrap=round(proof.wrap_ms, 1), unwrap=round(proof.unwrap_ms, 1)
            ),
            checks=[
                reply.Check(
                    name="wrap", ok=True, detail=f"32 random bytes were wrapped{wrapped_by}."
                ),
                reply.Check(name="unwrap", ok=True, detail="The wrapped bytes were unwrapped."),
                reply.Check(
                    name="roundtrip", ok=True, detail="What came back is what was wrapped."
                ),
            ],
        )

    async def RotateMasterKey(
        self, request: kms_pb2.RotateMasterKeyRequest, context: Any
    ) -> kms_pb2.RotateMasterKeyResponse:
        """POST /admin/tenant-kms/rotate."""
        done = await self._tenant_kms.rotate(current_call())
        return kms_pb2.RotateMasterKeyResponse(
            rotated=True, new_version=done.version, rewrap_lease_id=done.lease_id
        )

    async def GenerateDataKeys(
        self, request: kms_pb2.GenerateDataKeysRequest, context: Any
    ) -> kms_pb2.GenerateDataKeysResponse:
        """New data keys."""
        tenant_id = _tenant(request.tenant_id)
        _require_count("count", request.count, MAX_GENERATED)
        made = await self._data_keys.generate(tenant_id, request.count)
        reply = kms_pb2.GenerateDataKeysResponse
        return reply(
            data_keys=[
                reply.DataKey(id=key.id, plaintext=key.plaintext, wrapped=key.wrapped)
                for key in made.data_keys
            ],
            key_version=made.key_version,
            usable_for_ms=made.usable_ms,
        )

    async def UnwrapDataKeys(
        self, request: kms_pb2.UnwrapDataKeysRequest, context: Any
    ) -> kms_pb2.UnwrapDataKeysResponse:
        """Open data keys."""
        tenant_id = _tenant(request.tenant_id)
        _require_count("items", len(request.items), MAX_UNWRAPPED)
        items = [(item.id, item.wrapped) for item in request.items]
        opened = await self._data_keys.unwrap(tenant_id, items)
        result = kms_pb2.UnwrapDataKeysResponse.Result
        return kms_pb2.UnwrapDataKeysResponse(
            results=[
                result(fault=_FAULTS[one])
                if isinstance(one, DataKeyFault)
                else result(plaintext=one)
                for one in opened.results
            ],
            usable_for_ms=opened.usable_ms,
        )

    async def RewrapDataKeys(
        self, request: kms_pb2.RewrapDataKeysRequest, context: Any
    ) -> kms_pb2.RewrapDataKeysResponse:
        """Move data keys to the active version."""
        tenant_id = _tenant(request.tenant_id)
        count, rest = divmod(len(request.packed), DATA_KEY_RECORD_BYTES)
        if rest:
            raise ValidationError.of("packed", f"must be records of {DATA_KEY_RECORD_BYTES} bytes")
        _require_count("packed", count, MAX_REWRAPPED)
        done = await self._data_keys.rewrap(tenant_id, request.packed)
        return kms_pb2.RewrapDataKeysResponse(
            key_version=done.key_version,
            packed=done.packed,
            failures=[
                kms_pb2.RewrapDataKeysResponse.Failure(index=index, fault=_FAULTS[fault])
                for index, fault in done.failures
            ],
        )


def _tenant(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValidationError.of("tenant_id", "must be a UUID") from None


def _require_count(field: str, count: int, maximum: int) -> None:
    if not 1 <= count <= maximum:
        raise ValidationError.of(field, f"must be 1 to {maximum}")


def _members(body: Struct) -> dict[str, object]:
    return {name: _plain(value) for name, value in body.fields.items()}


def _plain(value: Value) -> object:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _members(value.struct_value)
        case "list_value":
            return [_plain(member) for member in value.list_value.values]
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _status(found: TenantKms) -> kms_pb2.GetTenantKmsResponse:
    binding = found.binding
    target = binding.target
    config = kms_pb2.TenantKmsConfig(
        provider=f"customer_kms_{target.provider}",
        kms_key_ref=target.kms_key_ref,
        sealed_since=_time(binding.sealed_since),
        last_verified_at=_time(binding.last_verified_at),
        last_verify_error=binding.last_verify_error,
    )
    for name in CONFIG_FIELDS[target.provider]:
        config.config[name] = target.config.get(name)
    if target.provider == "aws" and not target.config.get("external_id"):
        config.config["external_id"] = issued_external_id(binding.tenant_id)  # what is really sent
    return kms_pb2.GetTenantKmsResponse(config=config, keys=[_version(key) for key in found.keys])


def _version(key: KeyReport) -> kms_pb2.MasterKeyVersion:
    return kms_pb2.MasterKeyVersion(
        id=str(key.id),
        version=key.version,
        wrap_method=key.wrap_method,
        status=key.status,
        created_at=_time(key.created_at),
        retired_at=_time(key.retired_at),
        data_keys=key.data_keys,
    )
