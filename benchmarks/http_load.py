"""Creates secrets over REST, or asks for one path, from N keep-alive connections, each sending as soon as it
has its answer.

A protocol on uvloop's transports with httptools' parser and prepared request heads, because a general
HTTP client costs several times what the gateway does: this one takes some 20 us of processor time a
request. The benchmark shows what it reaches against a server that does nothing, and its share of the time
of each sample.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop

from benchmarks.children import answer, read_order
from benchmarks.timing import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OK = 200
CREATED = 201


class Connection(asyncio.Protocol):
    """One client. httptools calls the `on_` methods."""

    def __init__(self, window: Window, next_request: Callable[[], bytes], expected: int) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._window = window
        self._next_request = next_request
        self._expected = expected
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._began = 0.0
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request goes at once."""
        self._transport = cast("asyncio.Transport", transport)
        self._send(time.perf_counter())

    def connection_lost(self, exc: Exception | None) -> None:
        """Void if an answer was still owed."""
        if self._waiting:
            self._window.failed(f"connection lost ({exc})")
        self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Some of an answer."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Kept for the message of a failure."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """An answer is complete: the next request, or the end."""
        now = time.perf_counter()
        self._waiting = False
        status = self._parser.get_status_code()
        if status == self._expected:
            self._window.done(self._began, now)
        else:
            self._window.failed(f"{status} {b''.join(self._body).decode(errors='replace')}")
        self._body.clear()
        self._send(now)

    def _send(self, now: float) -> None:
        if not self._window.more(now):
            self._transport.close()
            return
        self._began = now
        self._waiting = True
        self._transport.write(self._next_request())


def requests(host: str, api_key: str, prefix: str, value: str) -> Iterator[bytes]:
    """Requests to create `<prefix>-0`, `<prefix>-1`..., head and body in one piece."""
    head = (
        f"POST /v1/secrets HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {api_key}\r\n"
        "content-type: application/json\r\ncontent-length: "
    )
    for number in itertools.count():
        body = f'{{"name": "{prefix}-{number}", "value": "{value}"}}'
        yield f"{head}{len(body)}\r\n\r\n{body}".encode()


def looks(host: str, api_key: str, path: str) -> Iterator[bytes]:
    """The same GET again and again."""
    head = f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {api_key}\r\n\r\n"
    return itertools.repeat(head.encode())


async def load(order: dict[str, Any]) -> dict[str, Any]:
    """Do what was ordered and report: creates, or looks where the order has a path."""
    where = urlsplit(order["base_url"])
    path = order.get("path")
    if path is None:
        made = requests(where.netloc, order["api_key"], order["prefix"], order["value"])
    else:
        made = looks(where.netloc, order["api_key"], path)
    expected = CREATED if path is None else OK
    window = Window(
        seconds=order["seconds"], warm_up=order.get("warm_up", 0.0), count=order.get("count")
    )
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(
            lambda: Connection(window, made.__next__, expected), where.hostname, where.port
        )
        for _ in range(order["clients"])
    ]
    await asyncio.gather(*(connection.closed for _, connection in opened))
    return window.answer()


if __name__ == "__main__":
    answer(uvloop.run(load(read_order())))
