"""The ASGI application: finds the target, answers every request in the contract's shape, counts it.

Plain ASGI and no framework: what a framework would add (routing, requests, middleware) costs more than a
third of the gateway's rate and is a few short functions here.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from gateway.errors import error_response
from gateway.forwarding import TrustedProxies
from gateway.http import ClientGoneError, MethodNotAllowedError, Request, check_json, read_body
from gateway.router import Router
from services.common.defects import describe
from services.common.errors import CofferError, InternalError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from gateway.http import Receive, Response, Send
    from gateway.metrics import RequestMetrics
    from gateway.transcode import Endpoint

MAX_BODY_BYTES: Final = 1024 * 1024
BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive."""

NO_PROXIES: Final = TrustedProxies()
"""Everybody's address is that of the connection."""

_UUID: Final = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_EVERYWHERE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
_SERVER_ERROR: Final = 500
NO_TEMPLATE: Final = "(none)"
"""The metrics' route of a request that found no path."""


class Page(Protocol):
    """Something served without authentication, which holds no tenant data."""

    path: str

    async def answer(self) -> Response:
        """The response to GET."""
        ...


class Gateway:
    """The application. `pages` are answered to GET, without a body being read."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        pages: Sequence[Page],
        metrics: RequestMetrics,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        body_seconds: float = BODY_SECONDS,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        self._endpoints = Router((e.route.method, e.route.segments, e) for e in endpoints)
        self._pages = Router(("GET", page.path[1:].split("/"), page) for page in pages)
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self._proxies = proxies
        self._log = structlog.get_logger("gateway")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request. Other kinds of ASGI scope are not served."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        request = _request(scope, self._proxies)
        endpoint = self._endpoints.find(request.method, request.raw_path)
        template = NO_TEMPLATE
        try:
            if endpoint is not None:
                template = endpoint[0].route.template
                response = await self._call(request, *endpoint, receive)
            else:
                template, response = await self._other(request)
        except ClientGoneError:
            return
        except CofferError as error:
            response = error_response(error, request.id)
        except Exception as defect:  # noqa: BLE001 - the last line of defence: a 500 in our shape
            # Nothing of the request is logged but its id: it may hold a secret anywhere.
            self._log.error(
                "request_failed", request_id=request.id, route=template, **describe(defect)
            )
            response = error_response(InternalError(), request.id)
        self._note(request, template, response.status, time.perf_counter() - began)
        await _send(request, response, send)

    async def _call(
        self, request: Request, endpoint: Endpoint, path: list[str | None], receive: Receive
    ) -> Response:
        body = await read_body(request, receive, self._max_body_bytes, self._body_seconds)
        if body:
            check_json(request)
        return await endpoint.answer(request, path, body)

    async def _other(self, request: Request) -> tuple[str, Response]:
        page = self._pages.find(request.method, request.raw_path)
        if page is not None:
            return page[0].path, await page[0].answer()
        allow = self._endpoints.allowed(request.raw_path) or self._pages.allowed(request.raw_path)
        error = MethodNotAllowedError(allow) if allow else NotFoundError("There is no such path.")
        return NO_TEMPLATE, error_response(error, request.id)

    def _note(self, request: Request, template: str, status: int, seconds: float) -> None:
        self._metrics.observe(request.method, template, status, seconds)
        if status >= _SERVER_ERROR:
            self._log.warning(
                "request_answered",
                request_id=request.id,
                method=request.method,
                route=template,
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )


def _request(scope: MutableMapping[str, Any], proxies: TrustedProxies) -> Request:
    client = scope.get("client")
    headers = scope["headers"]
    return Request(
        id=_request_id(headers),
        method=scope["method"],
        raw_path=scope["raw_path"],
        query=scope["query_string"],
        headers=headers,
        client_ip=proxies.client_ip(client[0] if client else "", headers),
    )


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """The client's, when it sent exactly one UUID; else a new one. Ids are UUIDs in lower case."""
    sent = [value for name, value in headers if name == b"x-request-id"]
    if len(sent) == 1 and _UUID.fullmatch(sent[0]):
        return sent[0].decode("ascii").lower()
    return str(uuid.uuid4())


async def _send(request: Request, response: Response, send: Send) -> None:
    headers = [
        *response.headers,
        *_EVERYWHERE,
        (b"content-length", str(len(response.body)).encode("ascii")),
        (b"x-request-id", request.id.encode("ascii")),
    ]
    if not any(name == b"cache-control" for name, _ in response.headers):
        headers.append(_NO_STORE)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
