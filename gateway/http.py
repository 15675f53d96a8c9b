"""HTTP requests and responses as values, and the reading of bodies with a limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from services.common.errors import CofferError, DeadlineError, PayloadTooLargeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

DISCARD_BYTES: Final = 8 * 1024 * 1024
"""How much of a body that is too large is still read: a plain client sends all of it before it reads, and
would see a broken connection instead of the 413 (wire contract, section 1)."""

_REQUEST_TIMEOUT: Final = 408


class ClientGoneError(Exception):
    """The client closed the connection before it had sent its request; nobody waits for an answer."""


class UnsupportedMediaTypeError(CofferError):
    """The body is not declared as JSON."""

    code = "unsupported_media_type"


class MethodNotAllowedError(CofferError):
    """The path exists, the method does not. `allow` goes into the `Allow` header."""

    code = "method_not_allowed"

    def __init__(self, allow: list[str]) -> None:
        super().__init__("This path does not know this method.")
        self.allow = ", ".join(allow)


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. Header names are lower case, as ASGI gives them."""

    id: str
    method: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    client_ip: str

    def header_values(self, name: bytes) -> list[bytes]:
        """The values of every line of that header, in order."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; the header lines that every response has are added when it is sent."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False)


async def read_body(request: Request, receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body.

    Raises PayloadTooLargeError above `limit` bytes, after reading on to `DISCARD_BYTES`; a client that asked
    first (`Expect: 100-continue`) is told without being asked for its body. Raises DeadlineError (408) when
    the body takes longer than `seconds`, ClientGoneError when the client leaves.
    """
    if _declared(request) > limit and request.header_values(b"expect"):
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _collect(receive, limit)
    except TimeoutError:
        error = DeadlineError("The body took too long to arrive.")
        error.http_status = _REQUEST_TIMEOUT
        raise error from None


async def _collect(receive: Receive, limit: int) -> bytes:
    kept: list[bytes] = []
    size = 0
    more = True
    while more and size <= DISCARD_BYTES:
        event = await receive()
        if event["type"] != "http.request":
            raise ClientGoneError
        chunk = event.get("body", b"")
        more = event.get("more_body", False)
        size += len(chunk)
        if size <= limit:
            kept.append(chunk)
        else:
            kept.clear()
    if size > limit:
        raise _too_large(limit)
    return kept[0] if len(kept) == 1 else b"".join(kept)


def _too_large(limit: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The body is larger than {limit} bytes.")


def _declared(request: Request) -> int:
    values = request.header_values(b"content-length")
    return int(values[0]) if len(values) == 1 and values[0].isdigit() else 0


def check_json(request: Request) -> None:
    """Raise UnsupportedMediaTypeError for a body not declared as plain JSON (RFC 9110, 15.5.16)."""
    types = request.header_values(b"content-type")
    coded = [value for value in request.header_values(b"content-encoding") if value != b"identity"]
    if len(types) != 1 or types[0].split(b";")[0].strip().lower() != b"application/json" or coded:
        raise UnsupportedMediaTypeError("Send the body as Content-Type: application/json.")
