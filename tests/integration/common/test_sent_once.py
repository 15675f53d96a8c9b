"""What breaks when a call of ours is sent again by the machinery below it: work done twice without a key."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from services.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.common.settings import TlsFiles
    from tests.fixtures.pki import TestPki

SERVICE = "coffer.test.Slow"


class Slow(grpc.GenericRpcHandler):  # type: ignore[misc,unused-ignore]
    """One rpc, which says when it was called, and answers once it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.called = asyncio.Event()
        self.may_answer = asyncio.Event()

    def service(self, _details: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._serve)

    async def _serve(self, _request: bytes, _context: object) -> bytes:
        self.calls += 1
        self.called.set()
        await self.may_answer.wait()
        return b"done"


class Wire:
    """A way to a port that can be cut while calls are on it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: list[asyncio.StreamWriter] = []
        self._ways: set[asyncio.Task[None]] = set()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:  # a channel looks for its server until it is closed itself
            writer.close()
            return
        self._ends += [writer, far_writer]
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            way = asyncio.create_task(_pass_on(source, sink))
            self._ways.add(way)
            way.add_done_callback(self._ways.discard)

    async def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()
        await asyncio.gather(*self._ways)


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


@contextlib.asynccontextmanager
async def serving(slow: Slow, tls: TlsFiles) -> AsyncIterator[int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((slow,))
    credentials = grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=tls.ca.read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def _first_answer(send: Any) -> Any:
    """Calls that are written to the connection of before, not yet known to be broken, reach nobody."""
    while True:
        with contextlib.suppress(grpc.aio.AioRpcError):
            return await send(b"", timeout=30)


async def test_a_call_whose_connection_breaks_is_not_sent_again(pki: TestPki) -> None:
    slow = Slow()
    async with serving(slow, pki.tls("kms")) as port:
        wire = Wire(port)
        listening = await asyncio.start_server(wire.connect, "127.0.0.1", 0)
        through = listening.sockets[0].getsockname()[1]
        async with listening, open_channel(f"127.0.0.1:{through}", pki.tls("gateway")) as channel:
            send: Any = channel.unary_unary(f"/{SERVICE}/Do")
            call = asyncio.ensure_future(send(b"", timeout=30))
            await slow.called.wait()
            await wire.cut()
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
            # The next one finds its way by itself, and comes after anything that was sent again.
            slow.may_answer.set()
            assert await _first_answer(send) == b"done"
            await wire.cut()
    assert slow.calls == 2
