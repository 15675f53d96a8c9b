"""A gateway as it runs, uvicorn and all, in front of real gRPC servers with recording servicers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from coffer.kms.v1 import kms_pb2_grpc
from coffer.rewrap.v1 import rewrap_pb2_grpc
from coffer.secrets.v1 import secrets_pb2_grpc
from google.protobuf import message_factory
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from gateway.server import make_server
from gateway.wiring import SERVICES, make_gateway
from services.common.errors import CofferError, UnauthenticatedError
from services.common.rpc.sockets import open_socket
from services.common.rpc.status import to_status
from services.common.settings import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from google.protobuf.descriptor import ServiceDescriptor
    from google.protobuf.message import Message

GENERATED: dict[str, tuple[type, Callable[[Any, grpc.aio.Server], None]]] = {
    "kms": (kms_pb2_grpc.KmsServiceServicer, kms_pb2_grpc.add_KmsServiceServicer_to_server),
    "secrets": (
        secrets_pb2_grpc.SecretsServiceServicer,
        secrets_pb2_grpc.add_SecretsServiceServicer_to_server,
    ),
    "rewrap": (
        rewrap_pb2_grpc.RewrapServiceServicer,
        rewrap_pb2_grpc.add_RewrapServiceServicer_to_server,
    ),
}


@dataclass
class Received:
    """One call as a servicer saw it, after it was let in."""

    rpc: str
    request: Any
    metadata: dict[str, str | bytes]
    seconds_left: float | None


@dataclass
class Backend:
    """What the fake services answer, and what they were asked."""

    replies: dict[str, Message | CofferError | Callable[[Any], Awaitable[Message]]] = field(
        default_factory=dict
    )
    received: list[Received] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    health: list[health.aio.HealthServicer] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Initial metadata of every answer."""

    async def answer(self, rpc: Any, request: Message, context: Any) -> Message:
        await context.send_initial_metadata(self.headers)
        metadata = dict(context.invocation_metadata())
        if "authorization" not in metadata and "x-api-key" not in metadata:
            await _abort(context, UnauthenticatedError())
        if "coffer-refusal-bin" in metadata:
            self.refused.append(rpc.name)
            status = status_pb2.Status.FromString(metadata["coffer-refusal-bin"])
            await context.abort_with_status(rpc_status.to_status(status))
        self.received.append(Received(rpc.name, request, metadata, context.time_remaining()))
        reply = self.replies.get(rpc.name)
        if reply is None:
            return message_factory.GetMessageClass(rpc.output_type)()
        if isinstance(reply, CofferError):
            await _abort(context, reply)
        if callable(reply):
            return await reply(request)
        return reply  # type: ignore[return-value]


async def _abort(context: Any, error: CofferError) -> None:
    await context.abort_with_status(rpc_status.to_status(to_status(error, "coffer.test")))


def make_servicer(parent: type, service: ServiceDescriptor, backend: Backend) -> Any:
    """A servicer whose every method asks the backend."""

    def method(rpc: Any) -> Any:
        async def serve(_self: object, request: Message, context: Any) -> Message:
            return await backend.answer(rpc, request, context)

        return serve

    return type(f"Fake{service.name}", (parent,), {m.name: method(m) for m in service.methods})()


@asynccontextmanager
async def _grpc_server(name: str, backend: Backend) -> AsyncIterator[str]:
    service = SERVICES[name]
    parent, add = GENERATED[name]
    server = grpc.aio.server()
    add(make_servicer(parent, service, backend), server)
    state = health.aio.HealthServicer()
    await state.set(service.full_name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    backend.health.append(state)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """An application behind the real server; yields its port."""
    listener = open_socket(Address("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    ready = asyncio.Event()
    server = make_server(app, on_ready=ready.set, drain_seconds=5)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await ready.wait()
    try:
        yield port
    finally:
        server.stop()
        await task


@dataclass
class Stack:
    """A running gateway with its fakes and a client that brings a credential along."""

    backend: Backend
    port: int
    client: httpx.AsyncClient

    async def raw(self, request: bytes, *, half_close: bool = False) -> bytes:
        """What comes back for these bytes, until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            if half_close:
                writer.write_eof()
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Stack]]]:
    """Starts gateways, with arguments of `make_gateway`."""
    async with AsyncExitStack() as opened:

        async def begin(**options: Any) -> Stack:
            backend = Backend()
            channels = {}
            for name in SERVICES:
                target = await opened.enter_async_context(_grpc_server(name, backend))
                channel = grpc.aio.insecure_channel(target)
                channels[name] = await opened.enter_async_context(channel)
            app = make_gateway(channels, **({"timeout_seconds": 10.0} | options))
            port = await opened.enter_async_context(serving(app))
            client = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"authorization": "Bearer tk_live_test"},
                trust_env=False,
            )
            await opened.enter_async_context(client)
            return Stack(backend, port, client)

        yield begin


@pytest.fixture
async def stack(start: Callable[..., Awaitable[Stack]]) -> Stack:
    """A gateway with ordinary settings."""
    return await start()
