"""secrets, asked over gRPC to do one batch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from uuid import UUID

import grpc
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from services.common.rpc.channel import onward
from services.common.rpc.status import from_rpc_error
from services.rewrap.model import BatchDone

if TYPE_CHECKING:
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
        request = secrets_pb2.RewrapBatchRequest(
            tenant_id=str(batch.ref.tenant_id),
            lease_id=batch.ref.lease_id,
            fence=batch.fence,
            lane=batch.lane.number,
            target_version=batch.target_version,
            after=b"" if batch.lane.after is None else batch.lane.after.bytes,
            until=batch.lane.until.bytes,
            limit=batch.limit,
        )
        try:
            reply = await self._stub.RewrapBatch(request, **onward(BATCH_SECONDS))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        cursor = UUID(bytes=reply.cursor) if reply.cursor else batch.lane.after
        return BatchDone(reply.done, reply.skipped, reply.failed, cursor, reply.lane_finished)

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
