"""The rpcs between processes: values for consumers, batches for rewrap."""

# ruff: noqa: N802 - names are those of the rpcs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from services.common.defects import describe
from services.common.errors import CofferError, InternalError
from services.common.identity import current_call
from services.secrets.foreground import ACCESS, batch
from services.secrets.rpc import replies, requests

if TYPE_CHECKING:
    from coffer.secrets.v1 import secrets_pb2

    from services.secrets.accessing import Accessor
    from services.secrets.foreground import Foreground
    from services.secrets.model import Answer
    from services.secrets.rewrap_batch import RewrapBatch
    from services.secrets.verifying import VerifyBatch

_log = structlog.get_logger(__name__)


class AccessRpcs:
    """Each is one use case. Policy has been enforced before it is called."""

    def __init__(
        self,
        accessor: Accessor,
        rewrap_batch: RewrapBatch,
        verify_batch: VerifyBatch,
        foreground: Foreground,
    ) -> None:
        self._accessor = accessor
        self._rewrap_batch = rewrap_batch
        self._verify_batch = verify_batch
        self._foreground = foreground

    async def AccessSecret(
        self, request: secrets_pb2.AccessSecretRequest, _context: Any
    ) -> secrets_pb2.AccessSecretResponse:
        """A value in clear, for a consumer with a grant."""
        with self._foreground.call(ACCESS):
            tenant_id, question = requests.access(request, current_call())
            return replies.answer(await self._accessor.access(tenant_id, question))

    async def BatchAccessSecrets(
        self, request: secrets_pb2.BatchAccessSecretsRequest, _context: Any
    ) -> secrets_pb2.BatchAccessSecretsResponse:
        """Values in clear, for a consumer with a grant."""
        tenant_id, questions = requests.batch_access(request, current_call())
        with self._foreground.call(batch(len(questions))):
            outcomes = await self._accessor.batch(tenant_id, questions)
            return replies.answers(map(_told, outcomes))

    async def RewrapBatch(
        self, request: secrets_pb2.RewrapBatchRequest, _context: Any
    ) -> secrets_pb2.RewrapBatchResponse:
        """One batch of a rewrap."""
        with self._foreground.working():
            done = await self._rewrap_batch.run(requests.rewrap(request))
        return replies.rewrapped(done, self._foreground.slowdown())

    async def VerifyBatch(
        self, request: secrets_pb2.VerifyBatchRequest, _context: Any
    ) -> secrets_pb2.VerifyBatchResponse:
        """One batch of a verification."""
        with self._foreground.working():
            done = await self._verify_batch.run(requests.verify(request))
        return replies.verified(done, self._foreground.slowdown())


def _told(outcome: Answer | BaseException) -> Answer | CofferError:
    """What may leave: a fault of ours goes to the log, as that of a call alone would."""
    if isinstance(outcome, BaseException) and not isinstance(outcome, CofferError):
        _log.error("call_failed", **describe(outcome))
        return InternalError()
    return outcome
