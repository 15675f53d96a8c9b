"""The rpcs of values: new ones, old ones, and those of one environment."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.secrets.rpc import replies, requests
from services.secrets.rpc.answering import answer

if TYPE_CHECKING:
    from coffer.secrets.v1 import secrets_pb2

    from services.secrets.writing import Writer


class ValueRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def PutSecretValue(
        self, request: secrets_pb2.PutSecretValueRequest, _context: Any
    ) -> secrets_pb2.PutSecretValueResponse:
        """A new value."""
        asked = requests.put_value(request)
        return await answer(lambda call: self._writer.put(call, asked), replies.stored)
