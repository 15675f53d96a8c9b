"""The rpcs between processes: values for consumers, batches for rewrap."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.common.identity import current_call
from services.secrets.rpc import replies, requests

if TYPE_CHECKING:
    from coffer.secrets.v1 import secrets_pb2

    from services.secrets.accessing import Accessor
    from services.secrets.rewrap_batch import RewrapBatch


class AccessRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(self, accessor: Accessor, rewrap_batch: RewrapBatch) -> None:
        self._accessor = accessor
        self._rewrap_batch = rewrap_batch

    async def AccessSecret(
        self, request: secrets_pb2.AccessSecretRequest, _context: Any
    ) -> secrets_pb2.AccessSecretResponse:
        """A value in clear, for a consumer with a grant."""
        tenant_id, question = requests.access(request, current_call())
        return replies.answer(await self._accessor.access(tenant_id, question))

    async def RewrapBatch(
        self, request: secrets_pb2.RewrapBatchRequest, _context: Any
    ) -> secrets_pb2.RewrapBatchResponse:
        """One batch of a rewrap."""
        return replies.rewrapped(await self._rewrap_batch.run(requests.rewrap(request)))
