"""The rpcs of values: new ones, old ones, and those of one environment."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coffer.secrets.v1 import secrets_pb2

from services.common.identity import current_call
from services.common.rpc.answering import answer
from services.secrets.foreground import WRITE
from services.secrets.rpc import replies, requests

if TYPE_CHECKING:
    from coffer.secrets.v1 import versions_pb2

    from services.secrets.foreground import Foreground
    from services.secrets.history import History
    from services.secrets.writing import Writer


class ValueRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(self, writer: Writer, history: History, foreground: Foreground) -> None:
        self._writer = writer
        self._history = history
        self._foreground = foreground

    async def PutSecretValue(
        self, request: secrets_pb2.PutSecretValueRequest, _context: Any
    ) -> secrets_pb2.PutSecretValueResponse:
        """A new value."""
        with self._foreground.call(WRITE):
            asked = requests.put_value(request)
            return await answer(lambda call: self._writer.put(call, asked), replies.stored)

    async def ListSecretVersions(
        self, request: versions_pb2.ListSecretVersionsRequest, _context: Any
    ) -> versions_pb2.ListSecretVersionsResponse:
        """A page of a history."""
        asked = requests.list_versions(request)
        return replies.history(*await self._history.list(current_call(), asked))

    async def RestoreSecretVersion(
        self, request: versions_pb2.RestoreSecretVersionRequest, _context: Any
    ) -> secrets_pb2.PutSecretValueResponse:
        """An old value, current again."""
        asked = requests.restore_version(request)
        return await answer(lambda call: self._history.restore(call, asked), replies.stored)

    async def DeleteSecretEnvironment(
        self, request: secrets_pb2.DeleteSecretEnvironmentRequest, _context: Any
    ) -> secrets_pb2.DeleteSecretResponse:
        """No value in this environment any more."""
        return await answer(
            lambda call: self._history.remove(call, request.id, request.environment_name),
            lambda _: secrets_pb2.DeleteSecretResponse(deleted=True),
        )
