"""Calls to one service: bounded in number, shared out fairly, each with a deadline.

Waiting for a free place counts towards the deadline, and so does connecting. A call is sent once; what may
be repeated is the client's decision. Batching of waiting calls, when it comes, goes behind `Rpc`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc
from google.protobuf import message_factory

from gateway.places import Bounds, Places
from services.common.errors import DeadlineError
from services.common.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

_MIB: Final = 1024 * 1024
BOUNDS: Final = Bounds(
    # 3,000 at once lost a quarter of them as CANCELLED (grpcio 1.85).
    calls=192,
    # A third; less as soon as others want theirs.
    calls_per_key=64,
    waiting=2_000,
    waiting_per_key=700,
    # As sent to the service; the process holds the body of the HTTP request besides.
    waiting_bytes=32 * _MIB,
    waiting_bytes_per_key=10 * _MIB,
)
"""Per service; more calls than may wait are turned away at once, with 503."""

Metadata = tuple[tuple[str, str | bytes], ...]


class Rpc(Protocol):
    """One unary rpc. Raises CofferError and nothing else (but cancellation)."""

    async def __call__(self, request: bytes, metadata: Metadata, key: int, /) -> Message:
        """The reply to a serialized request. `key` says with whom it shares places: see `places`."""
        ...


class Upstream:
    """One service behind one channel, which is the caller's to close.

    More channels would not help: gRPC lets equal channels share one connection.
    """

    def __init__(
        self, channel: grpc.aio.Channel, *, timeout_seconds: float, bounds: Bounds = BOUNDS
    ) -> None:
        self.channel = channel
        self._timeout = timeout_seconds
        self.places = Places(bounds)

    def rpc(self, method: MethodDescriptor) -> Rpc:
        """The caller of a method."""
        path = f"/{method.containing_service.full_name}/{method.name}"
        reply = message_factory.GetMessageClass(method.output_type)
        # Requests come serialized: what waits is held in its smallest form, and its size is known.
        send: Any = self.channel.unary_unary(path, response_deserializer=reply.FromString)
        places = self.places

        async def call(request: bytes, metadata: Metadata, key: int) -> Message:
            clock = asyncio.get_running_loop().time
            ends = clock() + self._timeout
            left = self._timeout
            if not places.take(key):
                await places.wait(key, len(request), ends)
                left = ends - clock()
            try:
                return await _send(send, request, metadata, left)
            finally:
                places.give_back(key)

        return call


async def _send(call: Any, request: bytes, metadata: Metadata, seconds: float) -> Message:
    if seconds <= 0:
        raise DeadlineError
    try:
        reply: Message = await call(request, metadata=metadata, timeout=seconds)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None
    return reply
