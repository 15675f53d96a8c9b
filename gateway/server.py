"""uvicorn in this process' event loop, on a socket of ours, with limits and our error shape.

What uvicorn leaves open and is closed here: the head of a request has a size and a time limit, and what is
no HTTP at all is answered in the contract's shape too.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import error_response
from gateway.http import DISCARD_BYTES
from services.common.errors import ValidationError

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and headers together; the answer to more is 400."""

HEAD_SECONDS: Final = 30.0
"""From the first byte of a connection, or of its next request, to the end of that request's head."""

KEEP_ALIVE_SECONDS: Final = 75
"""An idle connection is kept so long: longer than the pools of common clients and load balancers."""

MAX_PIPELINED: Final = 64
"""Requests of one connection that wait for the answer to an earlier one; with more it is closed. One read can
bring 14,000 (uvloop reads 256 KB), whose mere queueing held the event loop for 0.4 s."""

_BACKLOG: Final = 2_048
_LINE_BYTES: Final = 4
"""Colon, blank and line end of a header."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with a bound on heads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._received = 0
        self._discarded = 0
        self._head_open = True
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection that never sends a request does not stay either."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing left to time."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives before a head is complete; the parser itself would keep any amount.

        In pieces of the bound at most: a head within one piece needs no counting.
        """
        if len(data) <= MAX_HEAD_BYTES:
            self._take(data)
            return
        for start in range(0, len(data), MAX_HEAD_BYTES):
            self._take(data[start : start + MAX_HEAD_BYTES])
            if self.transport.is_closing():
                return

    def _take(self, data: bytes) -> None:
        self._received += len(data)
        if self._head_open and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)
        super().data_received(data)
        if self._received > MAX_HEAD_BYTES and not self.transport.is_closing():
            # No head: trailers or a chunk's extensions, of a size that nobody sends.
            what = "head is" if self._head_open else "trailers are"
            self.send_400_response(f"The request's {what} too large.")

    def on_body(self, body: bytes) -> None:
        """A body of a request that was answered without it is read past, up to a bound.

        What follows a piece of a body and is no body counts: the parser would keep any amount of trailers.
        """
        self._received = 0
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > DISCARD_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """The body has limits of its own."""
        if self._received > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            # The parser turns it into an error of its own, which is answered with 400.
            raise ValueError("the head is too large")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        self._head_open = False
        self._received = 0
        self._stop_timer()
        super().on_headers_complete()

    def _head_bytes(self) -> int:
        lines = sum(len(name) + len(value) + _LINE_BYTES for name, value in self.headers)
        return len(self.url) + lines

    def on_message_complete(self) -> None:
        """The next request may begin."""
        self._head_open = True
        self._received = self._discarded = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed is answered like every other error, and the connection closed.

        Only closed where an earlier request still waits for its answer, or this one has had it: a client
        would take the 400 for the answer to the earlier one, which may well have been carried out.
        """
        if self.pipeline or self._owes_another():
            self.transport.close()
            return
        request_id = str(uuid.uuid4())
        response = error_response(ValidationError(msg), request_id)
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"
            b"content-length: %d\r\nx-request-id: %s\r\n\r\n"
        )
        self.transport.write(
            head % (len(response.body), request_id.encode("ascii")) + response.body
        )
        self.transport.close()

    def _owes_another(self) -> bool:
        latest: RequestResponseCycle | None = self.cycle
        if latest is None:
            return False
        if self._head_open:  # the latest was read to its end
            return not latest.response_complete
        return latest.response_complete

    def _give_up(self) -> None:
        self._head_timer = None
        if self._head_open and not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class HttpServer(uvicorn.Server):
    """A server that tells when it accepts requests and leaves signals to whoever runs it.

    `stop` lets requests under way finish, for at most the drain time, and then `serve` returns.
    """

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    def stop(self) -> None:
        """Stop accepting; drain."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would raise the signal again after draining and turn a clean stop into a death."""
        yield


def make_server(
    app: Any,
    *,
    on_ready: Callable[[], None],
    drain_seconds: float,
    certificate: Path | None = None,
    key: Path | None = None,
) -> HttpServer:
    """A server for an ASGI application; does nothing until `serve(sockets=[...])`."""
    config = uvicorn.Config(
        app,
        loop="none",
        http=BoundedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # Who may say X-Forwarded-For is decided in gateway/forwarding.py.
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(drain_seconds)),
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    return HttpServer(config, on_ready)
