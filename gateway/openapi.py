"""openapi.json from the contract.

    python -m gateway.openapi            write gateway/openapi.json
    python -m gateway.openapi --check    exit 1 when the committed file is not what the contract says

Made from the same routes that are served and from the comments of the .proto files; only the examples
(openapi_examples.json) are written by hand. Needs a checkout and the development requirements; the
running gateway serves the committed file and never imports this.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coffer.type.v1 import policy_pb2
from google.protobuf import descriptor_pb2

from gateway.binding import UPDATE_MASK, header_name
from gateway.openapi_comments import comments_of
from gateway.openapi_fixed import ERROR, ID, REQUEST_ID_HEADER, SECURITY_SCHEMES
from gateway.openapi_schema import Schema, Schemas
from gateway.pages import OPENAPI_FILE
from gateway.reply import meta_fields
from gateway.wiring import all_routes

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

    from gateway.routes import Route

EXAMPLES_FILE: Final = Path(__file__).with_name("openapi_examples.json")


def document(comments: dict[str, str], examples: dict[str, Any]) -> dict[str, Any]:
    """The whole OpenAPI document."""
    schemas = Schemas(comments)
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(all_routes(), key=lambda route: route.template):
        operation = _operation(route, schemas, comments, examples.get(route.rpc.name, {}))
        paths.setdefault(route.template, {})[route.method.lower()] = operation
    components = {"Error": ERROR, **schemas.components}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Coffer",
            "version": "1",
            "description": "A multi-tenant secrets platform whose master keys live in the customer's own "
            "cloud KMS. Secret values are write-only: no response of this API ever holds one.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in sorted({_tag(route) for route in all_routes()})],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": SECURITY_SCHEMES,
            "responses": {
                "Error": {
                    "description": "Refused or failed; `error.type` says how.",
                    "headers": REQUEST_ID_HEADER,
                    "content": _json({"$ref": "#/components/schemas/Error"}),
                }
            },
        },
    }


def _operation(
    route: Route, schemas: Schemas, comments: dict[str, str], example: dict[str, Any]
) -> dict[str, Any]:
    description = comments.get(route.rpc.full_name, "")
    operation: dict[str, Any] = {
        "operationId": route.rpc.name,
        "tags": [_tag(route)],
        "summary": description.split(". ")[0].rstrip("."),
        "description": description,
        "security": _security(route.rpc),
    }
    parameters = _parameters(route, schemas)
    if parameters:
        operation["parameters"] = parameters
    if route.takes_body and (route.raw_json_body or _members(route)):
        body = _request_schema(route, schemas)
        operation["requestBody"] = {
            "required": any(field.has_presence is False for field in _members(route)),
            "content": _json(body, example.get("request")),
        }
    operation["responses"] = {
        str(route.status): _success(route, schemas, example.get("response")),
        "default": {"$ref": "#/components/responses/Error"},
    }
    return operation


def _tag(route: Route) -> str:
    return route.rpc.containing_service.name.removesuffix("Service")


def _security(rpc: MethodDescriptor) -> list[dict[str, list[str]]]:
    policy = rpc.GetOptions().Extensions[policy_pb2.policy]
    if policy.WhichOneof("caller") == "open":
        return []
    if policy.WhichOneof("caller") == "api_key":
        return [{"apiKey": []}, {"apiKeyHeader": []}]
    choice: dict[str, list[str]] = {"adminJwt": []}
    if policy.admin.optional_step_up_window_seconds:
        return [choice, {"adminJwt": [], "stepUp": []}]
    if policy.admin.step_up_window_seconds:
        choice["stepUp"] = []
    return [choice]


def _members(route: Route) -> list[FieldDescriptor]:
    """The request's fields that body or query give."""
    elsewhere = {*route.path_fields, UPDATE_MASK}
    return [
        field
        for field in route.rpc.input_type.fields
        if field.name not in elsewhere and not header_name(field)
    ]


def _parameters(route: Route, schemas: Schemas) -> list[dict[str, Any]]:
    fields = route.rpc.input_type.fields_by_name
    found = [_parameter(name, "path", fields[name], schemas) for name in route.path_fields]
    found += [
        _parameter(header_name(field), "header", field, schemas)
        for field in route.rpc.input_type.fields
        if header_name(field)
    ]
    if not route.takes_body:
        found += [_parameter(field.name, "query", field, schemas) for field in _members(route)]
    return found


def _parameter(name: str, place: str, field: FieldDescriptor, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.field(field, reply=False)
    description = schema.pop("description", "")
    if isinstance(schema.get("type"), list):
        schema["type"] = schema["type"][0]
    required = place == "path"
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        "schema": schema,
    }


def _request_schema(route: Route, schemas: Schemas) -> Schema:
    if route.raw_json_body:
        field = route.rpc.input_type.fields_by_name[route.raw_json_body]
        return schemas.field(field, reply=False) | {"type": "object"}
    members = {field.name for field in _members(route)}
    elsewhere = [f.name for f in route.rpc.input_type.fields if f.name not in members]
    return schemas.request(route.rpc.input_type, elsewhere)


def _success(route: Route, schemas: Schemas, example: Any) -> dict[str, Any]:
    headers = dict(REQUEST_ID_HEADER)
    if route.location:
        headers["Location"] = {"description": "Where it is now.", "schema": {"type": "string"}}
    return {
        "description": "Done.",
        "headers": headers,
        "content": _json(_reply_schema(route, schemas), example),
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
    kinds = [_meta(inner, schemas) for inner in meta_fields(reply).values()] or [
        _meta(None, schemas)
    ]
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


def _json(schema: Schema, example: Any = None) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": schema}
    if example is not None:
        media["example"] = example
    return {"application/json": media}


def generate() -> bytes:
    """The file's bytes, from the contract in this checkout."""
    # Imported here: the compiler of the contract exists in a checkout only.
    protos = importlib.import_module("tools.protos")
    with tempfile.TemporaryDirectory(prefix="coffer-openapi-") as scratch:
        target = Path(scratch) / "image.binpb"
        protos.write_image(target)
        image = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())
    examples = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    built = document(comments_of(image), examples)
    return (json.dumps(built, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def main() -> int:
    """Do what the command line says; the exit status is 0 only if the file is right."""
    parser = argparse.ArgumentParser(description="Write openapi.json from the contract.")
    parser.add_argument("--check", action="store_true", help="compare only, change nothing")
    options = parser.parse_args()
    wanted = generate()
    found = OPENAPI_FILE.read_bytes() if OPENAPI_FILE.exists() else b""
    if wanted == found:
        return 0
    if options.check:
        sys.stderr.write("openapi: gateway/openapi.json is stale; run `make openapi`, commit it\n")
        return 1
    OPENAPI_FILE.write_bytes(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
