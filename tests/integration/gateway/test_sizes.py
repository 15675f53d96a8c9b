"""Bodies and heads that are too large or too slow, as plain sockets send them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.gateway.conftest import Stack

MIB = 1024 * 1024
HEAD = b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nContent-Type: application/json\r\n"


def error_of(answer: bytes, status: int) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode("ascii")), head
    error = json.loads(body)["error"]
    assert f"x-request-id: {error['request_id']}".encode("ascii") in head
    return error


async def test_a_client_that_sends_all_of_2_mib_first_still_reads_the_413(stack: Stack) -> None:
    body = b'{"name": "' + b"x" * (2 * MIB) + b'"}'
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    answer = await stack.raw(request)
    assert error_of(answer, 413)["type"] == "payload_too_large"
    assert b"connection: close" in answer
    assert stack.backend.received == []


async def test_a_chunked_body_is_counted_too(stack: Stack) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 32 + b"0\r\n\r\n"
    assert error_of(await stack.raw(request), 413)["type"] == "payload_too_large"


async def test_413_comes_before_415_and_before_401(stack: Stack) -> None:
    body = b"x" * (MIB + 1)
    request = b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
    request += b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert error_of(await stack.raw(request), 413)


async def test_a_body_of_exactly_the_limit_is_read(stack: Stack) -> None:
    body = b'{"name": "' + b"x" * (MIB - 12) + b'"}'
    assert len(body) == MIB
    answer = await stack.client.post(
        "/v1/secrets", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code != 413
    assert len(stack.backend.received[0].request.name) == MIB - 12


async def test_a_client_that_asks_first_is_told_without_sending(stack: Stack) -> None:
    request = HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (2 * MIB)
    answer = await stack.raw(request)
    assert error_of(answer, 413)
    request = HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n{}"
    assert (await stack.raw(request)).startswith(b"HTTP/1.1 100 ")


async def test_a_body_on_a_path_that_does_not_exist_does_not_break_the_connection(
    stack: Stack,
) -> None:
    body = b"x" * (2 * MIB)
    first = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    second = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await stack.raw(first + second)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"HTTP/1.1 200 " in answer


async def test_a_body_that_never_arrives_ends_with_408(
    start: Callable[..., Awaitable[Stack]],
) -> None:
    stack = await start(body_seconds=0.2)
    answer = await stack.raw(HEAD + b"Content-Length: 10\r\n\r\n{")
    assert error_of(answer, 408)["type"] == "timeout"


async def test_a_client_that_leaves_in_the_middle_of_its_body_costs_nothing(stack: Stack) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(HEAD + b"Content-Length: 10\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await stack.client.get("/v1/secrets")).status_code == 200
    assert [call.rpc for call in stack.backend.received] == ["ListSecrets"]


async def test_a_head_without_end_is_refused(stack: Stack) -> None:
    many = b"".join(b"x-filler-%d: %s\r\n" % (n, b"y" * 1000) for n in range(100))
    answer = await stack.raw(b"GET /healthz HTTP/1.1\r\n" + many)
    assert error_of(answer, 400)["type"] == "validation_error"
    answer = await stack.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
    assert error_of(answer, 400)["type"] == "validation_error"
    short = b"".join(b"a:\r\n" for _ in range(20_000))
    answer = await stack.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + short + b"\r\n")
    assert error_of(answer, 400)["type"] == "validation_error"
    answer = await stack.raw(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert error_of(answer, 400)["type"] == "validation_error"
    answer = await stack.raw(b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 100_000)
    assert error_of(answer, 400)["type"] == "validation_error"


async def test_what_is_no_http_is_answered_in_our_shape(stack: Stack) -> None:
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET\r\n\r\n"):
        assert error_of(await stack.raw(junk, half_close=True), 400)["type"] == "validation_error"
