"""Errors to HTTP responses, in the one shape of the wire contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.http import MethodNotAllowedError, Response
from gateway.json_output import encode

if TYPE_CHECKING:
    from services.common.errors import CofferError

JSON_TYPE: Final = (b"content-type", b"application/json")
_OPTIONAL: Final = ("reason", "hint", "retry_after", "provider")
_CLOSING: Final = frozenset({408, 413})
"""Answers given before the body was read to its end: the connection is of no further use."""
_UNAUTHENTICATED: Final = 401
_RETRIED: Final = frozenset({429, 503})
_DEFAULT_RETRY_SECONDS: Final = 1


def error_response(
    error: CofferError, request_id: str, more: tuple[tuple[bytes, bytes], ...] = ()
) -> Response:
    """The response that tells a client of `error`; `more` are headers that came along with it."""
    body: dict[str, object] = {
        "type": error.code,
        "message": error.message,
        "request_id": request_id,
    }
    if error.fields:
        body["fields"] = error.fields
    for name in _OPTIONAL:
        value = getattr(error, name)
        if value is not None:
            body[name] = value
    text = encode({"error": body})
    # A text with an unpaired surrogate would be a defect; it must not become a second one.
    data = text.encode("utf-8", "replace")
    return Response(error.http_status, (JSON_TYPE, *_headers(error), *more), data)


def _headers(error: CofferError) -> list[tuple[bytes, bytes]]:
    headers = []
    retry_after = error.retry_after
    if retry_after is None and error.http_status in _RETRIED:
        retry_after = _DEFAULT_RETRY_SECONDS
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode("ascii")))
    if error.http_status == _UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 9110 section 15.5.2 asks for it
    if isinstance(error, MethodNotAllowedError):
        headers.append((b"allow", error.allow.encode("ascii")))
    if error.http_status in _CLOSING:
        headers.append((b"connection", b"close"))
    return headers
