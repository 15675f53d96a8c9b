"""What a connection is worth after an error: usable when the request was read, closed when it was not."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.http import DISCARD_BYTES
from gateway.server import MAX_PIPELINED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.integration.gateway.conftest import Stack

JSON = b"Content-Type: application/json\r\n"
KEY = b"x-api-key: k\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
MIB = 1024 * 1024

# Status, head lines, body.
ERRORS: dict[str, tuple[int, bytes, bytes, bytes]] = {
    "broken body": (400, b"POST /v1/secrets", KEY + JSON, b'{"name":'),
    "unknown member": (400, b"POST /v1/secrets", KEY + JSON, b'{"nope": 1}'),
    "too many values": (400, b"POST /v1/secrets", KEY + JSON, b'{"a":[' + b"0," * 9_000 + b"0]}"),
    "no credential": (401, b"POST /v1/secrets", JSON, b'{"name": "A"}'),
    "no path": (404, b"POST /nowhere", KEY + JSON, b'{"name": "A"}'),
    "no path, a megabyte": (404, b"POST /nowhere", KEY + JSON, b"x" * MIB),
    "wrong method": (405, b"PATCH /v1/secrets", KEY + JSON, b'{"name": "A"}'),
    "page with a body": (405, b"POST /healthz", JSON, b"{}"),
    "media type": (415, b"POST /v1/secrets", KEY, b"name=A"),
}


class Connection:
    """One connection, and the answers on it by their Content-Length."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def send_over_and_over(self, piece: bytes, count: int) -> None:
        for _ in range(count):
            await self.send(piece)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("ascii")
        status, *lines = head.rstrip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, json.loads(body)

    async def is_usable(self) -> bool:
        await self.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, body = await self.answer()
        return (status, body) == (200, {"status": "ok"}) and "connection" not in headers


@asynccontextmanager
async def connected(stack: Stack) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port, limit=MIB)
    try:
        async with asyncio.timeout(20):
            yield Connection(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):  # some tests want it closed from the other side
            await writer.wait_closed()


def chunks(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_an_error_whose_body_was_read_leaves_the_connection_usable(
    stack: Stack, framing: str, case: str
) -> None:
    status, line, headers, body = ERRORS[case]
    head = line + b" HTTP/1.1\r\nHost: x\r\n" + headers
    if framing == "length":
        request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        request = head + CHUNKED + b"\r\n" + chunks(body, 4_000)
    async with connected(stack) as connection:
        for _ in range(2):
            await connection.send(request)
            found, answered, error = await connection.answer()
            assert found == status
            assert "connection" not in answered
            assert error["error"]["request_id"] == answered["x-request-id"]
        assert await connection.is_usable()


async def test_errors_in_a_pipeline_are_answered_in_order(stack: Stack) -> None:
    requests = [
        line
        + b" HTTP/1.1\r\nHost: x\r\n"
        + headers
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
        for _, line, headers, body in ERRORS.values()
    ]
    async with connected(stack) as connection:
        await connection.send(b"".join(requests))
        found = [(await connection.answer())[0] for _ in requests]
        assert found == [status for status, *_ in ERRORS.values()]
        assert await connection.is_usable()


async def test_a_body_that_is_too_large_ends_the_connection(stack: Stack) -> None:
    body = b'{"name": "' + b"x" * (MIB + 9) + b'"}'
    head = b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\n" + KEY + JSON
    for request in (
        head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        head + CHUNKED + b"\r\n" + chunks(body, 60_000),
    ):
        async with connected(stack) as connection:
            await connection.send(request)
            status, headers, _ = await connection.answer()
            assert (status, headers["connection"]) == (413, "close")
            assert await connection.reader.read() == b""


async def test_a_body_that_does_not_arrive_ends_the_connection(
    start: Callable[..., Awaitable[Stack]],
) -> None:
    stack = await start(body_seconds=0.2)
    async with connected(stack) as connection:
        await connection.send(
            b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\n", KEY + JSON + CHUNKED + b"\r\n5\r\n{"
        )
        status, headers, _ = await connection.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert await connection.reader.read() == b""


async def test_a_chunked_body_is_the_same_however_it_is_cut(stack: Stack) -> None:
    body = json.dumps({"name": "ä" * 500, "value": "x"}, ensure_ascii=False).encode()
    head = b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\n" + KEY + JSON + CHUNKED + b"\r\n"
    async with connected(stack) as connection:
        for size in (1, 2, 7, 10_000):
            request = head + chunks(body, size)
            await connection.send(*(request[at : at + 97] for at in range(0, len(request), 97)))
            await connection.answer()
        extended = b"%x;a=b\r\n%s\r\n0\r\nx-trailer: y\r\n\r\n" % (len(body), body)
        await connection.send(head + extended)
        await connection.answer()
        assert await connection.is_usable()
    assert [call.request.name for call in stack.backend.received] == ["ä" * 500] * 5
    assert "x-trailer" not in stack.backend.received[-1].metadata


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"Content-Length: +2\r\n\r\n{}",
        b"Content-Length: 0x2\r\n\r\n{}",
        b"Content-Length: 2,2\r\n\r\n{}",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nz\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n",
    ],
)
async def test_a_body_whose_end_is_a_matter_of_opinion_is_not_taken(
    stack: Stack, framing: bytes
) -> None:
    request = b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\n" + KEY + JSON + framing
    smuggled = b"DELETE /v1/secrets/x HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n"
    answer = await stack.raw(request + smuggled)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert stack.backend.received == []


@pytest.mark.parametrize(
    "endless", [b"0\r\nx-trailer: ", b"0\r\n" + b"x: y\r\n" * 100, b"2;extension="]
)
@pytest.mark.parametrize("path", [b"/v1/secrets", b"/nowhere"])
async def test_trailers_without_end_are_not_kept(stack: Stack, path: bytes, endless: bytes) -> None:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + KEY + JSON + CHUNKED + b"\r\n2\r\n{}\r\n"
    more = b"x: y\r\n" * 1_000 if endless.endswith(b"\n") else b"y" * 6_000
    async with connected(stack) as connection:
        await connection.send(head + endless)
        with pytest.raises(ConnectionError):
            await connection.send_over_and_over(more, 10_000)
    assert stack.backend.received == []


async def test_a_body_nobody_asked_for_is_not_read_for_ever(stack: Stack) -> None:
    head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % 10**12
    async with connected(stack) as connection:
        await connection.send(head)
        assert (await connection.answer())[0] == 404
        with pytest.raises(ConnectionError):
            await connection.send_over_and_over(b"x" * 65_536, 4 * DISCARD_BYTES // 65_536)


async def test_thousands_of_requests_in_one_piece_are_not_queued(stack: Stack) -> None:
    answers = b""
    async with connected(stack) as connection:
        with contextlib.suppress(ConnectionError):
            await connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5_000)
            while piece := await connection.reader.read(MIB):
                answers += piece
    assert answers.count(b"HTTP/1.1 ") == answers.count(b"HTTP/1.1 200 ") < 500
    async with connected(stack) as connection:
        await connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * MAX_PIPELINED)
        for _ in range(MAX_PIPELINED):
            assert (await connection.answer())[0] == 200


@pytest.mark.parametrize("junk", [b"\x00\x01", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
async def test_junk_after_a_request_is_not_answered_in_its_place(stack: Stack, junk: bytes) -> None:
    head = b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\n" + KEY + JSON + b"Content-Length: 13\r\n\r\n"
    assert await stack.raw(head + b'{"name": "A"}' + junk) == b""
    async with connected(stack) as connection:
        await connection.send(b"POST /nowhere HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n")
        assert (await connection.answer())[0] == 404
        await connection.send(b"z\r\n")
        assert await connection.reader.read() == b""
