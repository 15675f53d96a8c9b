"""The data-key calls of kms over gRPC: the only place that knows its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

import grpc
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.envelope import DATA_KEY_BYTES, DATA_KEY_RECORD_BYTES, WRAPPED_DATA_KEY_BYTES
from services.common.errors import InternalError
from services.common.rpc.channel import onward
from services.common.rpc.status import from_rpc_error
from services.common.sensitive import SecretBytes
from services.secrets.clock import boot_seconds
from services.secrets.data_keys import MAX_SECONDS
from services.secrets.model import DataKey, KeyFault, KeySealed, Rewrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.secrets.model import WrappedKey

LIMIT_SECONDS: Final = 15.0
"""A cloud call inside kms is bounded by 10 s."""
_REWRAP_LIMIT_SECONDS: Final = 30.0
_HEALTH_LIMIT_SECONDS: Final = 1.0
_MAX_UNWRAP: Final = 1000

_FAULTS: Final = {
    kms_pb2.DATA_KEY_FAULT_REVOKED: KeyFault.REVOKED,
    kms_pb2.DATA_KEY_FAULT_SEALED: KeyFault.SEALED,
}


class KmsClient:
    """`ports.Kms` on a channel to the kms service."""

    def __init__(
        self, channel: grpc.aio.Channel, *, clock: Callable[[], float] = boot_seconds
    ) -> None:
        self._stub = kms_pb2_grpc.KmsServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._clock = clock

    async def generate(self, tenant_id: UUID, count: int) -> list[DataKey]:
        """As `ports.Kms.generate`."""
        asked_at = self._clock()
        request = kms_pb2.GenerateDataKeysRequest(tenant_id=str(tenant_id), count=count)
        try:
            reply = await self._stub.GenerateDataKeys(request, **onward(LIMIT_SECONDS))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        usable_until = asked_at + min(reply.usable_for_ms / 1000, MAX_SECONDS)
        keys = [
            DataKey(
                id=UUID(bytes=key.id),
                plaintext=SecretBytes(key.plaintext),
                wrapped=key.wrapped,
                key_version=reply.key_version,
                usable_until=usable_until,
            )
            for key in reply.data_keys
        ]
        if len(keys) != count or any(len(key.plaintext) != DATA_KEY_BYTES for key in keys):
            raise InternalError
        return keys

    async def unwrap(
        self, tenant_id: UUID, keys: Sequence[WrappedKey]
    ) -> list[SecretBytes | KeyFault | KeySealed]:
        """As `ports.Kms.unwrap`."""
        assert len(keys) <= _MAX_UNWRAP
        request = kms_pb2.UnwrapDataKeysRequest(tenant_id=str(tenant_id))
        for key in keys:
            request.items.add(id=key.id.bytes, wrapped=key.wrapped)
        try:
            reply = await self._stub.UnwrapDataKeys(request, **onward(LIMIT_SECONDS))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        if len(reply.results) != len(keys):
            raise InternalError
        return [
            SecretBytes(result.plaintext)
            if result.WhichOneof("outcome") == "plaintext"
            else _refusal(result)
            for result in reply.results
        ]

    async def rewrap(self, tenant_id: UUID, packed: bytes) -> Rewrapped:
        """As `ports.Kms.rewrap`."""
        request = kms_pb2.RewrapDataKeysRequest(tenant_id=str(tenant_id), packed=packed)
        try:
            reply = await self._stub.RewrapDataKeys(request, **onward(_REWRAP_LIMIT_SECONDS))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        count = len(packed) // DATA_KEY_RECORD_BYTES
        faults = {failure.index: _fault(failure.fault) for failure in reply.failures}
        if len(reply.packed) != count * WRAPPED_DATA_KEY_BYTES or not faults.keys() <= set(
            range(count)
        ):
            raise InternalError
        return Rewrapped(reply.key_version, reply.packed, faults, reply.kms_calls)

    async def is_serving(self) -> bool:
        """Whether kms says that it is ready."""
        try:
            reply = await self._health.Check(
                health_pb2.HealthCheckRequest(), timeout=_HEALTH_LIMIT_SECONDS
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _refusal(result: kms_pb2.UnwrapDataKeysResponse.Result) -> KeyFault | KeySealed:
    fault = _fault(result.fault)
    return KeySealed(result.reason or None) if fault is KeyFault.SEALED else fault


def _fault(fault: kms_pb2.DataKeyFault.ValueType) -> KeyFault:
    """What is not known is damage: it does not open."""
    return _FAULTS.get(fault, KeyFault.DAMAGED)
