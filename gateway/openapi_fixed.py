"""The parts of openapi.json that no descriptor says: credentials, the error body, headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.idempotency import MAX_CHARACTERS
from services.common.errors import CODES

if TYPE_CHECKING:
    from gateway.openapi_schema import Schema

ID: Final[Schema] = {"type": "string", "format": "uuid"}
SECURITY_SCHEMES: Final[Schema] = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: Authorization: Bearer tk_live_...",
    },
    "apiKeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same API key in a header of its own.",
    },
    "adminJwt": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A tenant administrator's JWT with the claims sub, tenant_id and role.",
    },
    "stepUp": {
        "type": "apiKey",
        "in": "header",
        "name": "X-KnoxCall-StepUp",
        "description": "A fresh step-up JWT of the same issuer, subject and tenant; works once.",
    },
}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_ONLY_LIMITED: Final = " Only where the API key has a limit."
HEADERS: Final[dict[str, Schema]] = {
    "X-Request-Id": {
        "description": "The request's id: the client's own, if it sent a UUID under this name.",
        "required": True,
        "schema": ID,
    },
    "Location": {
        "description": "Where what was made is now.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "ETag": {
        "description": "The version of the value that the body shows; give it back as If-Match.",
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
    "Idempotent-Replayed": {
        "description": "This is the answer to an earlier request with the same idempotency key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Come again after so many seconds.",
        "required": True,
        "schema": _COUNT,
    },
    "X-RateLimit-Limit": {
        "description": "Requests that the API key may make in a period." + _ONLY_LIMITED,
        "schema": _COUNT,
    },
    "X-RateLimit-Remaining": {
        "description": "Requests that are left in this period." + _ONLY_LIMITED,
        "schema": _COUNT,
    },
    "X-RateLimit-Reset": {
        "description": "When all of them are there again." + _ONLY_LIMITED,
        "schema": _COUNT,
    },
    "WWW-Authenticate": {
        "description": "What kind of credential is asked for.",
        "required": True,
        "schema": {"type": "string", "enum": ["Bearer"]},
    },
    "Allow": {
        "description": "The methods that the path knows.",
        "required": True,
        "schema": {"type": "string"},
    },
}
IDEMPOTENCY_KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Does the work once, however often the request is repeated within 24 hours: printable "
    "ASCII, such as a UUID. The same request gets the first answer again, another one 409 "
    "`idempotency_conflict`. X-Idempotency-Key means the same.",
    "schema": {
        "type": "string",
        "maxLength": MAX_CHARACTERS,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
}
_VERSION: Final = "(0|[1-9][0-9]{0,17})"
IF_MATCH: Final[Schema] = {"type": "string", "pattern": f'^({_VERSION}|"{_VERSION}")$'}
"""One strong entity tag, or the bare number."""

ERROR_EXAMPLES: Final[dict[int, str]] = {
    400: "name: must not be empty",
    401: "Authentication is required: the credential is missing or not valid.",
    403: "This credential may not do that.",
    404: "There is nothing of this id.",
    405: "This path does not know this method.",
    408: "The body took too long to arrive.",
    409: "The name is taken.",
    410: "The key that protected this was revoked.",
    412: "The current version is another one.",
    413: "The body is larger than 1048576 bytes.",
    415: "Send the body as Content-Type: application/json.",
    429: "Too many requests with this API key.",
    500: "Something went wrong on our side. Quote the request id.",
    502: "The key still cannot be used.",
    503: "The service is not available at present.",
    504: "The call took longer than its deadline.",
}
"""A message by status, of the first code that has it."""
ERROR: Final[Schema] = {
    "type": "object",
    "description": "Every refusal and failure, of every path.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message", "request_id"],
            "properties": {
                "type": {"type": "string", "enum": list(CODES)},
                "message": {"type": "string", "description": "A sentence for a person."},
                "request_id": ID,
                "fields": {
                    "type": "object",
                    "description": "JSON path to what is wrong there.",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
                "reason": {"type": "string"},
                "hint": {"type": "string"},
                "retry_after": {"type": "integer", "description": "Seconds."},
                "provider": {"type": "string"},
            },
        }
    },
}
