"""The server around the application: draining, and a port that a supervisor holds."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.server import make_server
from services.common.rpc.sockets import open_socket
from services.common.settings import Address
from tests.integration.gateway.conftest import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def _hello(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_a_port_held_by_a_bound_socket_can_be_served() -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        listener = open_socket(Address("127.0.0.1", port))
        ready = asyncio.Event()
        server = make_server(_hello, on_ready=ready.set, drain_seconds=1)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await ready.wait()
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = [await client.get(f"http://127.0.0.1:{port}/") for _ in range(5)]
        assert {answer.status_code for answer in answers} == {204}
        server.stop()
        await task


async def test_stopping_lets_a_request_under_way_finish() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        entered.set()
        await go_on.wait()
        await _hello(scope, receive, send)

    listener = open_socket(Address("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = make_server(slow, on_ready=lambda: None, drain_seconds=10)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    async with httpx.AsyncClient(trust_env=False) as client:
        request = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/"))
        await entered.wait()
        server.stop()
        go_on.set()
        assert (await request).status_code == 204
    await task


async def test_each_start_is_told_once_it_accepts() -> None:
    async with serving(_hello) as port, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 204


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_connection_without_a_whole_head_is_closed_in_time(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("gateway.server.HEAD_SECONDS", 0.1)
    async with serving(_hello) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
