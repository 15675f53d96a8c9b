"""The answers of one operation, for openapi.json: which statuses, with which headers and bodies.

Statuses follow from what an operation is (its credential, its path, its method, its body), from
`http_reply.errors` beside its rpc, and from the one table of error codes.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from coffer.type.v1 import policy_pb2

from gateway.binding import header_name
from gateway.idempotency import METHODS
from gateway.openapi_fixed import ERROR_EXAMPLES, ID
from gateway.reply import meta_fields
from services.common.errors import CODES

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

    from gateway.openapi_schema import Schema, Schemas
    from gateway.routes import Route

_ALWAYS: Final = (400, 408, 413, 415, 500, 503, 504)
"""Those of a body too: whoever sends one where none is meant is held to the same."""
_ELSEWHERE: Final = {"tenant_sealed": 409, "timeout": 408}
"""Codes with a second status: on rotate, and for a body that does not arrive."""
_BEFORE_THE_CALL: Final = frozenset({401, 405, 408, 413, 415})
_NEVER_STORED: Final = _BEFORE_THE_CALL | {429, 500, 502, 503, 504}
_LIMITS: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def responses(route: Route, schemas: Schemas, example: Any) -> dict[str, Any]:
    """All responses of the operation, by status."""
    refused = {str(status): _reference("responses", _name(status)) for status in _statuses(route)}
    return {str(route.status): _success(route, schemas, example), **refused}


def error_responses() -> dict[str, Any]:
    """The shared components that `responses` refers to."""
    statuses = sorted({travel.http_status for travel in CODES.values()} | {*_ELSEWHERE.values()})
    return {_name(status): _error_response(status) for status in statuses}


def media(schema: Schema, example: Any = None) -> dict[str, Any]:
    """JSON content of that schema."""
    found: dict[str, Any] = {"schema": schema}
    if example is not None:
        found["example"] = example
    return {"application/json": found}


def _statuses(route: Route) -> list[int]:
    policy = route.rpc.GetOptions().Extensions[policy_pb2.policy]
    caller = policy.WhichOneof("caller")
    fields = route.rpc.input_type.fields
    found = {*_ALWAYS, *(CODES[code].http_status for code in route.errors)}
    there = {
        401: caller != "open",
        403: caller == "admin" or bool(policy.api_key.scope),
        404: bool(route.path_fields),
        409: route.method in METHODS,
        412: any(header_name(field) == "if-match" for field in fields),
        429: caller == "api_key",
    }
    found.update(status for status, is_there in there.items() if is_there)
    return sorted(found)


def _name(status: int) -> str:
    return "".join(word.capitalize() for word in HTTPStatus(status).name.split("_"))


def _reference(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _headers(*names: str) -> dict[str, Any]:
    return {name: _reference("headers", name) for name in ("X-Request-Id", *names)}


def _error_response(status: int) -> dict[str, Any]:
    codes = [code for code, travel in CODES.items() if travel.http_status == status]
    codes += [code for code, other in _ELSEWHERE.items() if other == status]
    only = {"properties": {"error": {"properties": {"type": {"enum": codes}}}}}
    error: dict[str, Any] = {"type": codes[0], "message": ERROR_EXAMPLES[status]}
    error["request_id"] = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    return {
        "description": " or ".join(f"`{code}`" for code in codes),
        "headers": _error_headers(status),
        "content": media({"allOf": [_reference("schemas", "Error"), only]}, {"error": error}),
    }


def _error_headers(status: int) -> dict[str, Any]:
    names: list[str] = []
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        names.append("Allow")
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        names.append("Retry-After")
    if status not in _BEFORE_THE_CALL:
        names += _LIMITS
    if status not in _NEVER_STORED:
        names.append("Idempotent-Replayed")
    return _headers(*names)


def _success(route: Route, schemas: Schemas, example: Any) -> dict[str, Any]:
    policy = route.rpc.GetOptions().Extensions[policy_pb2.policy]
    named = {
        "Location": bool(route.location),
        "ETag": bool(route.etag),
        "Idempotent-Replayed": route.method in METHODS,
        **dict.fromkeys(_LIMITS, policy.HasField("api_key")),
    }
    return {
        "description": "Done.",
        "headers": _headers(*(name for name, is_there in named.items() if is_there)),
        "content": media(_reply_schema(route, schemas), example),
    }


def _reply_schema(route: Route, schemas: Schemas) -> Schema:
    reply = route.rpc.output_type
    if route.body_oneof:
        choice = [field.message_type for field in reply.oneofs_by_name[route.body_oneof].fields]
        data: Schema = {"oneOf": [schemas.reply(inner) for inner in choice if inner is not None]}
    elif route.response_body:
        data = schemas.field(reply.fields_by_name[route.response_body], reply=True)
    else:
        data = schemas.reply(reply)
    if not route.enveloped:
        return data
    pages: list[Descriptor | None] = [*meta_fields(reply).values()]
    kinds = [_meta(page, schemas) for page in pages or [None]]
    return {
        "type": "object",
        "required": ["data", "meta"],
        "properties": {"data": data, "meta": kinds[0] if len(kinds) == 1 else {"oneOf": kinds}},
    }


def _meta(page: Descriptor | None, schemas: Schemas) -> Schema:
    members: dict[str, Schema] = {"request_id": ID}
    for field in page.fields if page else ():
        members[field.name] = schemas.field(field, reply=True)
    return {"type": "object", "required": list(members), "properties": members}
