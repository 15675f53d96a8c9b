"""Calls to one service: bounded in number, shared out fairly, each with a deadline.

Waiting for a free place counts towards the deadline, and so does connecting. A call is sent once; what may
be repeated is the client's decision. Batching of waiting calls, when it comes, goes behind `Rpc`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc
from google.protobuf import message_factory

from gateway.places import Bounds, Places
from services.common.errors import DeadlineError
from services.common.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

    from services.common.errors import CofferError

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


RESPONSE_HEADERS: Final = frozenset(
    {
        "idempotent-replayed",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    }
)
"""Initial metadata of a service that become headers of the response, under the same names; no others do."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answered: a message or an error, and the headers that go with either."""

    outcome: Message | CofferError = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)


class Rpc(Protocol):
    """One unary rpc. Raises CofferError, of calls that got no answer, and nothing else (but cancellation)."""

    async def __call__(self, request: bytes, metadata: Metadata, key: int, /) -> Reply:
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

        async def call(request: bytes, metadata: Metadata, key: int) -> Reply:
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


async def _send(begin: Any, request: bytes, metadata: Metadata, seconds: float) -> Reply:
    if seconds <= 0:
        raise DeadlineError
    call = begin(request, metadata=metadata, timeout=seconds)
    try:
        message = await call
    except grpc.aio.AioRpcError as error:
        return Reply(from_rpc_error(error), _headers(error.initial_metadata()))
    # It came before the message: this does not wait.
    return Reply(message, _headers(await call.initial_metadata()))


def _headers(initial: Iterable[tuple[str, str | bytes]] | None) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(
        (name.encode("ascii"), value.encode("ascii"))
        for name, value in initial or ()
        if name in RESPONSE_HEADERS and isinstance(value, str)
    )
