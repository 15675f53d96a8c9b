"""The parts of openapi.json that no descriptor says: credentials, the error body, the request id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
REQUEST_ID_HEADER: Final[Schema] = {
    "X-Request-Id": {"description": "The request's id.", "schema": ID}
}
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
