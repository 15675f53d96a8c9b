"""openapi.json from the contract.

    python -m gateway.openapi            write gateway/openapi.json
    python -m gateway.openapi --check    exit 1 when the committed file is not what the contract says

Made from the same routes that are served and from the comments of the .proto files; only the examples
(openapi_examples.json) and the bodies that the gateway hands over unread (openapi_bodies.json) are
written by hand. Needs a checkout and the development requirements; the
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
from gateway.idempotency import METHODS
from gateway.openapi_comments import comments_of
from gateway.openapi_fixed import ERROR, HEADERS, IDEMPOTENCY_KEY, IF_MATCH, SECURITY_SCHEMES
from gateway.openapi_responses import error_responses, media, responses
from gateway.openapi_schema import Schema, Schemas
from gateway.pages import OPENAPI_FILE
from gateway.wiring import all_routes

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

    from gateway.routes import Route

EXAMPLES_FILE: Final = Path(__file__).with_name("openapi_examples.json")
BODIES_FILE: Final = Path(__file__).with_name("openapi_bodies.json")


def document(
    comments: dict[str, str], examples: dict[str, Any], bodies: dict[str, Schema]
) -> dict[str, Any]:
    """The whole OpenAPI document; `bodies` are component schemas by the rpc whose raw body they are."""
    schemas = Schemas(comments)
    raw = {route.rpc.name: route.rpc.name + "Body" for route in all_routes() if route.raw_json_body}
    schemas.components.update({name: bodies[rpc] for rpc, name in raw.items()})
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
            "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY},
            "headers": HEADERS,
            "responses": error_responses(),
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
            "required": _is_needed(body, schemas),
            "content": media(body, example.get("request")),
        }
    operation["responses"] = responses(route, schemas, example.get("response"))
    return operation


def _is_needed(body: Schema, schemas: Schemas) -> bool:
    """An empty body counts as an empty object: it will do where no member is required."""
    schema = schemas.components[body["$ref"].rpartition("/")[2]]
    return "required" in schema or "minProperties" in schema


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
    if route.method in METHODS:
        found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    return found


def _parameter(name: str, place: str, field: FieldDescriptor, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.field(field, reply=False, nullable=False)
    description = schema.pop("description", "")
    if name == "if-match":
        name, schema = "If-Match", IF_MATCH
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
        return {"$ref": f"#/components/schemas/{route.rpc.name}Body"}
    members = {field.name for field in _members(route)}
    elsewhere = [f.name for f in route.rpc.input_type.fields if f.name not in members]
    return schemas.request(route.rpc.input_type, elsewhere)


def generate() -> bytes:
    """The file's bytes, from the contract in this checkout."""
    # Imported here: the compiler of the contract exists in a checkout only.
    protos = importlib.import_module("tools.protos")
    with tempfile.TemporaryDirectory(prefix="coffer-openapi-") as scratch:
        target = Path(scratch) / "image.binpb"
        protos.write_image(target)
        image = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())
    examples = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    bodies = json.loads(BODIES_FILE.read_text(encoding="utf-8"))
    built = document(comments_of(image), examples, bodies)
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
