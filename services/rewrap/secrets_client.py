"""secrets, asked over gRPC to do one batch."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import grpc
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from services.common.errors import InternalError, UnavailableError
from services.common.rpc.channel import onward
from services.common.rpc.status import from_rpc_error
from services.rewrap.model import BatchDone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.rewrap.model import Batch

BATCH_SECONDS: Final = 20.0
"""Deadline of a batch: a slow KMS (10 s) and a slow database; beyond it the lease waits."""
_CONNECT_SECONDS: Final = 1.0


class SecretsClient:
    """The port `Batches`, on a channel that belongs to the running event loop."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub = secrets_pb2_grpc.SecretsServiceStub(channel)

    async def rewrap(self, batch: Batch) -> BatchDone:
        """Do one batch. Raises CofferError, as secrets answered or as the connection failed."""
        request = secrets_pb2.RewrapBatchRequest(pass_over=batch.pass_over, **_request(batch))
        with _translated():
            reply = await self._stub.RewrapBatch(request, **onward(BATCH_SECONDS))
        return BatchDone(
            reply.done,
            reply.skipped,
            reply.failed,
            _cursor(batch, reply.cursor),
            reply.lane_finished,
            reply.foreground_slowdown,
        )

    async def verify(self, batch: Batch) -> BatchDone:
        """Open one batch of data keys and their values. Raises as `rewrap`."""
        request = secrets_pb2.VerifyBatchRequest(
            last=batch.last, pass_over=batch.pass_over, **_request(batch)
        )
        with _translated():
            reply = await self._stub.VerifyBatch(request, **onward(BATCH_SECONDS))
        return BatchDone(
            0,
            0,
            reply.failed,
            _cursor(batch, reply.cursor),
            reply.lane_finished,
            reply.foreground_slowdown,
            reply.verified,
        )

    async def reachable(self) -> bool:
        """Whether there is a connection, or one could be made within a second."""
        state = self._channel.get_state(try_to_connect=True)
        if state is grpc.ChannelConnectivity.READY:
            return True
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._channel.channel_ready()
        except TimeoutError:
            return False
        return True


def _request(batch: Batch) -> dict[str, Any]:
    lane = batch.lane
    return {
        "tenant_id": str(batch.ref.tenant_id),
        "lease_id": batch.ref.lease_id,
        "fence": batch.fence,
        "lane": lane.number,
        "target_version": batch.target_version,
        "after": b"" if lane.after is None else lane.after.bytes,
        "until": lane.until.bytes,
        "limit": batch.limit,
    }


def _cursor(batch: Batch, told: bytes) -> UUID | None:
    return UUID(bytes=told) if told else batch.lane.after


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """As `from_rpc_error`; but what was not secrets' own answer says nothing about the data keys."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        ours = from_rpc_error(error)
        raise (UnavailableError() if type(ours) is InternalError else ours) from error
