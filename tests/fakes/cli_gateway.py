"""A gateway that answers what a test has written down, over real HTTP on loopback."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


LOST: Final = (0, None)
"""An answer that never comes: the connection is closed instead."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    method: str
    path: str
    body: dict[str, Any] | None
    headers: dict[str, str]


@dataclass
class Gateway:
    """`answers` maps `METHOD /path` (without its query) to (status, body) or (status, body, headers), or to
    a list of them, used up one by one until the last, which stays.
    """

    answers: dict[str, Any]
    url: str = ""
    requests: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> tuple[Any, ...]:
        self.requests.append(request)
        found = self.answers.get(f"{request.method} {request.path.partition('?')[0]}")
        if found is None:
            return 404, {"error": {"type": "not_found", "message": "No such path."}}
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]  # type: ignore[no-any-return]
        return found  # type: ignore[no-any-return]

    @property
    def changes(self) -> list[Request]:
        """The requests that would change something."""
        return [request for request in self.requests if request.method != "GET"]

    @property
    def bodies(self) -> list[dict[str, Any] | None]:
        return [request.body for request in self.changes]

    @contextlib.contextmanager
    def serving(self) -> Iterator[Gateway]:
        """Serve in a thread of this process."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, body, headers)
            status, answer, *more = gateway.answer(request)
            if not status:
                self.close_connection = True
                return
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in (more[0] if more else {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nobody reads it."""

    return Handler


def refusal(code: str, message: str, **more: object) -> dict[str, Any]:
    """An error body of the wire contract."""
    return {"error": {"type": code, "message": message, "request_id": "r-1", **more}}


def page(*rows: object, **meta: object) -> tuple[int, Any]:
    """A page of a list that has no other."""
    place = {"total": len(rows), "page": 1, "per_page": 100, "total_pages": min(1, len(rows))}
    return 200, {"data": list(rows), "meta": place | meta}


def secret(name: str, number: int = 1, **changes: object) -> dict[str, Any]:
    """The row of a string secret."""
    plain: dict[str, Any] = {
        "id": identifier(number),
        "name": name,
        "shortcode_name": name,
        "description": None,
        "base_environment": "production",
        "environment_count": 1,
        "secret_type": "string",
        "collection_id": None,
        "expires_at": None,
        "strict_expiry_enforcement": False,
        "value_version": 1,
        "created_at": "2026-03-15T12:00:00.000Z",
        "updated_at": "2026-03-15T12:00:00.000Z",
    }
    return plain | changes


def identifier(number: int) -> str:
    """An id as the API gives them."""
    return str(uuid.UUID(int=number))


def lease(**changes: object) -> dict[str, Any]:
    """A lease as the API shows it."""
    plain: dict[str, Any] = {
        "id": 42,
        "state": "running",
        "reason": "rotate",
        "target_version": 2,
        "total": 100,
        "done": 40,
        "skipped": 0,
        "failed": 0,
        "rate_per_second": 20.0,
        "eta_seconds": 3,
        "throttle_per_second": None,
        "created_at": "2026-03-15T12:00:00.000Z",
        "started_at": "2026-03-15T12:00:01.000Z",
        "finished_at": None,
        "last_error": None,
    }
    return plain | changes
