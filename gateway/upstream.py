"""Calls to one service: bounded in number, each with a deadline.

Waiting for a free place counts towards the deadline, and so does connecting. A call is sent once; what may
be repeated is the client's decision. Batching of waiting calls, when it comes, goes behind `Rpc`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc
from google.protobuf import message_factory

from services.common.errors import DeadlineError, UnavailableError
from services.common.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

MAX_CALLS: Final = 100
"""Calls under way to one service. 3,000 at once lost a quarter of them as CANCELLED (grpcio 1.85)."""

MAX_WAITING: Final = 2_000
"""Calls that wait for a place, per service; more are turned away at once, with 503."""

Metadata = tuple[tuple[str, str | bytes], ...]


class Rpc(Protocol):
    """One unary rpc. Raises CofferError and nothing else (but cancellation)."""

    async def __call__(self, message: Message, metadata: Metadata, /) -> Message:
        """The reply."""
        ...


class Upstream:
    """One service behind one channel, which is the caller's to close.

    More channels would not help: gRPC lets equal channels share one connection.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        timeout_seconds: float,
        max_calls: int = MAX_CALLS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.channel = channel
        self._timeout = timeout_seconds
        self._places = asyncio.Semaphore(max_calls)
        self._max_waiting = max_waiting
        self._waiting = 0

    def rpc(self, method: MethodDescriptor) -> Rpc:
        """The caller of a method."""
        path = f"/{method.containing_service.full_name}/{method.name}"
        request = message_factory.GetMessageClass(method.input_type)
        reply = message_factory.GetMessageClass(method.output_type)
        send = self.channel.unary_unary(
            path,
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )

        async def call(message: Message, metadata: Metadata) -> Message:
            ends = asyncio.get_running_loop().time() + self._timeout
            if self._places.locked():
                await self._wait(ends)
            else:
                await self._places.acquire()
            try:
                return await self._send(send, message, metadata, ends)
            finally:
                self._places.release()

        return call

    async def _send(self, call: Any, message: Message, metadata: Metadata, ends: float) -> Message:
        left = ends - asyncio.get_running_loop().time()
        try:
            reply: Message = await call(message, metadata=metadata, timeout=left)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return reply

    async def _wait(self, ends: float) -> None:
        if self._waiting >= self._max_waiting:
            raise UnavailableError("Too many requests are waiting at present.")
        self._waiting += 1
        try:
            async with asyncio.timeout_at(ends):
                await self._places.acquire()
        except TimeoutError:
            raise DeadlineError from None
        finally:
            self._waiting -= 1
