"""What breaks between processes of ours when the network or the machine is slow."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.rpc.channel import OPTIONS, open_channel

if TYPE_CHECKING:
    from tests.fixtures.pki import TestPki

SLOW_SECONDS = 1.0
"""For a TLS handshake: a busy machine, or a path with a round trip of 0.3 s."""


async def test_a_handshake_that_takes_its_time_is_not_taken_for_a_process_that_is_gone(
    pki: TestPki,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        port = slow.getsockname()[1]
        async with open_channel(f"127.0.0.1:{port}", pki.tls("secrets")) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await check(health_pb2.HealthCheckRequest(), timeout=SLOW_SECONDS)
    # It was the caller who gave up.
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_every_copy_of_a_service_gets_its_share_of_the_calls() -> None:
    copies = [Copy(), Copy()]
    ports = [await copy.start() for copy in copies]
    target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    async with grpc.aio.insecure_channel(target, options=OPTIONS) as channel:
        await channel.channel_ready()
        call: Any = channel.unary_unary("/coffer.Test/Ask")
        asked = 0
        while not all(copy.calls for copy in copies):
            await call(b"")
            asked += 1
            assert asked < 100_000  # the second connection may take its time
        before = [copy.calls for copy in copies]
        for _ in range(100):
            await call(b"")
        assert [copy.calls - had for copy, had in zip(copies, before, strict=True)] == [50, 50]
        await copies[0].stop()
        for _ in range(20):
            await call(b"")
    await copies[1].stop()


class Copy(grpc.GenericRpcHandler):  # type: ignore[misc,unused-ignore]
    """A server that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))

    async def start(self) -> int:
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    async def stop(self) -> None:
        await self._server.stop(5)

    def service(self, _details: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, _request: bytes, _context: object) -> bytes:
        self.calls += 1
        return b""
