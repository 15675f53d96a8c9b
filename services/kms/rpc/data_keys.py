"""The rpcs of data keys, for secrets only."""

# ruff: noqa: N802, ARG002 - names and signatures are those of the generated base class
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coffer.kms.v1 import kms_pb2

from services.common.envelope import DATA_KEY_RECORD_BYTES
from services.common.errors import ValidationError
from services.kms.data_keys import MAX_GENERATED, MAX_REWRAPPED, MAX_UNWRAPPED
from services.kms.model import DataKeyFault
from services.kms.rpc.words import tenant

if TYPE_CHECKING:
    from services.kms.data_keys import DataKeys

_FAULTS: Final = {
    DataKeyFault.DAMAGED: kms_pb2.DATA_KEY_FAULT_DAMAGED,
    DataKeyFault.REVOKED: kms_pb2.DATA_KEY_FAULT_REVOKED,
    DataKeyFault.SEALED: kms_pb2.DATA_KEY_FAULT_SEALED,
    DataKeyFault.UNKNOWN_VERSION: kms_pb2.DATA_KEY_FAULT_UNKNOWN_VERSION,
}


class DataKeyRpcs:
    """Generate, unwrap, rewrap."""

    def __init__(self, data_keys: DataKeys) -> None:
        self._data_keys = data_keys

    async def GenerateDataKeys(
        self, request: kms_pb2.GenerateDataKeysRequest, context: Any
    ) -> kms_pb2.GenerateDataKeysResponse:
        """New data keys."""
        tenant_id = tenant(request.tenant_id)
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
        tenant_id = tenant(request.tenant_id)
        _require_count("items", len(request.items), MAX_UNWRAPPED)
        items = [(item.id, item.wrapped) for item in request.items]
        opened = await self._data_keys.unwrap(tenant_id, items)
        result = kms_pb2.UnwrapDataKeysResponse.Result
        return kms_pb2.UnwrapDataKeysResponse(
            results=[
                result(fault=_FAULTS[one], reason=opened.reasons.get(index))
                if isinstance(one, DataKeyFault)
                else result(plaintext=one)
                for index, one in enumerate(opened.results)
            ],
            usable_for_ms=opened.usable_ms,
        )

    async def RewrapDataKeys(
        self, request: kms_pb2.RewrapDataKeysRequest, context: Any
    ) -> kms_pb2.RewrapDataKeysResponse:
        """Move data keys to the active version."""
        tenant_id = tenant(request.tenant_id)
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
            kms_calls=done.kms_calls,
        )


def _require_count(field: str, count: int, maximum: int) -> None:
    if not 1 <= count <= maximum:
        raise ValidationError.of(field, f"must be 1 to {maximum}")
