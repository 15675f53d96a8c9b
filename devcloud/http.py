"""A small threaded HTTP/1.1 server that stops cleanly, shared by the stand-ins.

One thread per connection, keep-alive, Nagle's algorithm off (without that, and with an unbuffered
writer, every call takes 40 ms). SO_REUSEPORT is on, so a supervisor can reserve the port with a
socket that is bound and does not listen. `stop` ends idle and busy connections and joins their
threads.

With an `ssl.SSLContext` it serves TLS; the handshake runs on the connection's own thread, so that a
client that connects and says nothing hinders nobody else.

Not promised: chunked request bodies (501), HTTP/2.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from devcloud.faults import ConnectionDropped

if TYPE_CHECKING:
    import ssl

BODY_LIMIT_BYTES = 1 << 20
_POLL_SECONDS = 0.05
_HANDSHAKE_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. Header names are in lower case; repeated headers are joined by a comma."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer; the length header is added by the server."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Handler = Callable[[HttpRequest], HttpAnswer]


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Listener

    def _serve(self) -> None:
        answer = self._refusal()
        if answer is None:
            request = HttpRequest(
                method=self.command,
                target=self.path,
                headers=self._joined_headers(),
                body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            )
            try:
                answer = self.server.answer(request)
            except ConnectionDropped:
                self.close_connection = True
                return
        else:
            self.close_connection = True
        self._send(answer)

    do_GET = _serve  # noqa: N815 - the base class finds methods by these names
    do_POST = _serve  # noqa: N815

    def _refusal(self) -> HttpAnswer | None:
        if self.headers.get("Transfer-Encoding"):
            return HttpAnswer(HTTPStatus.NOT_IMPLEMENTED, b"chunked bodies are not served")
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdigit()):
            return HttpAnswer(HTTPStatus.BAD_REQUEST, b"bad Content-Length")
        if int(length) > BODY_LIMIT_BYTES:
            return HttpAnswer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"body too large")
        return None

    def _joined_headers(self) -> dict[str, str]:
        names = {name.lower() for name in self.headers}
        return {name: ",".join(self.headers.get_all(name, [])) for name in names}

    def _send(self, answer: HttpAnswer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep request lines off stderr; the ledger records calls."""


class _Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    allow_reuse_port = True
    # Threads are joined by server_close, after `stop` has ended their connections.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], handler: Handler, tls: ssl.SSLContext | None
    ) -> None:
        self._handler = handler
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Connection)

    def answer(self, request: HttpRequest) -> HttpAnswer:
        return self._handler(request)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if self._tls is not None:
            try:
                request = self._secured(request, self._tls)
                _shake_hands(request)
            except OSError:
                # Another CA, a port scan, silence: there is nobody to answer.
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def _secured(self, request: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        # Wrapping detaches the plain socket: what `end_connections` may end is the new one.
        with self._open_lock:
            self._open.discard(request)
            secured = tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            self._open.add(secured)
        return secured

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                # Already ended by the peer: nothing to do.
                with contextlib.suppress(OSError):
                    # Not `SSLSocket.shutdown`, which takes the TLS state from under its reader.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            _log.error("connection handler failed", exc_info=error)


def _shake_hands(connection: ssl.SSLSocket) -> None:
    connection.settimeout(_HANDSHAKE_SECONDS)
    connection.do_handshake()
    connection.settimeout(None)


class HttpServer:
    """Serves `handler` on a thread of its own until stopped. Construction does no I/O.

    `on_stop` runs first in `stop`: it has to wake handlers that wait on purpose. `tls` None serves
    plain HTTP.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        on_stop: Callable[[], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._handler = handler
        self._address = (host, port)
        self._on_stop = on_stop
        self._tls = tls
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind and serve; raises OSError when the address cannot be had."""
        self._listener = _Listener(self._address, self._handler, self._tls)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_POLL_SECONDS,), name="devcloud", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the listener and every connection, and join their threads. Safe to call twice."""
        listener, thread = self._listener, self._thread
        self._listener = self._thread = None
        if listener is None or thread is None:
            return
        self._on_stop()
        listener.shutdown()
        thread.join()
        listener.end_connections()
        listener.server_close()

    @property
    def listen(self) -> str:
        """`host:port` as bound. Raises RuntimeError before `start`."""
        if self._listener is None:
            raise RuntimeError("the server is not running")
        host, port = self._listener.socket.getsockname()[:2]
        return f"{host}:{port}"
