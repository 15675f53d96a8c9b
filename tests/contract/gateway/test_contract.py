"""The gateway and the contract say the same: routes, openapi.json, and nothing left out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from coffer.type.v1 import policy_pb2
from google.api import annotations_pb2
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from gateway.binding import RequestBinder
from gateway.openapi import generate
from gateway.pages import OPENAPI_FILE
from gateway.reply import ReplyWriter
from gateway.wiring import SERVICES, all_routes
from services.common.errors import CODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.routes import Route

ROUTES = {route.rpc.full_name: route for route in all_routes()}
DOCUMENTED = {
    ("POST", "/admin/tenant-kms", 200),
    ("GET", "/admin/tenant-kms", 200),
    ("GET", "/admin/tenant-kms/setup", 200),
    ("POST", "/admin/tenant-kms/verify", 200),
    ("POST", "/admin/tenant-kms/rotate", 200),
    ("POST", "/admin/tenant-kms/unseal", 200),
    ("POST", "/admin/tenant-kms/keys/{version}/revoke", 200),
    ("GET", "/admin/tenant-kms/keys/{version}/receipt", 200),
    ("DELETE", "/admin/tenant-kms", 200),
    ("GET", "/.well-known/coffer-signing-keys", 200),
    ("GET", "/admin/tenant-kms/rewraps", 200),
    ("GET", "/admin/tenant-kms/rewraps/{id}", 200),
    ("POST", "/admin/tenant-kms/rewraps", 201),
    ("POST", "/admin/tenant-kms/rewraps/{id}/pause", 200),
    ("POST", "/admin/tenant-kms/rewraps/{id}/resume", 200),
    ("POST", "/admin/tenant-kms/rewraps/{id}/cancel", 200),
    ("PATCH", "/admin/tenant-kms/rewraps/{id}", 200),
    ("POST", "/v1/secrets", 201),
    ("POST", "/v1/secrets/certificate", 201),
    ("GET", "/v1/secrets", 200),
    ("GET", "/v1/secrets/{id}", 200),
    ("PUT", "/v1/secrets/{id}/value", 200),
    ("DELETE", "/v1/secrets/{id}", 200),
}


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(OPENAPI_FILE.read_bytes())
    return found


def test_each_documented_path_has_a_route_with_its_status() -> None:
    found = {(route.method, route.template, route.status) for route in ROUTES.values()}
    assert found >= DOCUMENTED


def test_each_rpc_with_a_rule_has_a_route_and_no_other() -> None:
    for service in SERVICES.values():
        for rpc in service.methods:
            has_rule = rpc.GetOptions().HasExtension(annotations_pb2.http)
            assert (rpc.full_name in ROUTES) == has_rule, rpc.full_name


@pytest.mark.parametrize("route", ROUTES.values(), ids=list(ROUTES))
def test_each_route_can_be_read_and_written(route: Route) -> None:
    RequestBinder(route)
    ReplyWriter(route)


@pytest.mark.parametrize("route", ROUTES.values(), ids=list(ROUTES))
def test_only_callers_with_a_credential_of_a_person_have_http_paths(route: Route) -> None:
    policy = route.rpc.GetOptions().Extensions[policy_pb2.policy]
    wanted = {"v1": "api_key", "admin": "admin", ".well-known": "open"}
    assert policy.WhichOneof("caller") == wanted[route.template.split("/")[1]]


def test_nothing_is_open_to_anybody_but_the_signing_keys() -> None:
    found = {
        rpc.name
        for service in SERVICES.values()
        for rpc in service.methods
        if rpc.GetOptions().Extensions[policy_pb2.policy].HasField("open")
    }
    assert found == {"GetSigningKeys"}


@pytest.mark.parametrize("route", ROUTES.values(), ids=list(ROUTES))
def test_what_a_201_made_has_a_location(route: Route) -> None:
    assert bool(route.location) == (route.status == 201)


def test_a_header_field_is_lower_case_as_it_is_compared() -> None:
    for route in ROUTES.values():
        for field in route.rpc.input_type.fields:
            name = field.GetOptions().Extensions[policy_pb2.json_field].http_header
            assert name == name.lower()


def test_openapi_is_what_the_contract_says() -> None:
    assert OPENAPI_FILE.read_bytes() == generate(), "run `make openapi` and commit the result"


def test_openapi_has_each_route_with_credential_and_answer(openapi: dict[str, Any]) -> None:
    for route in ROUTES.values():
        operation = openapi["paths"][route.template][route.method.lower()]
        assert operation["operationId"] == route.rpc.name
        assert bool(operation["security"]) is not route.public
        assert operation["description"], f"{route.rpc.full_name} has no comment"
        assert {str(route.status), "400", "500", "503"} <= set(operation["responses"])
        assert ("401" in operation["responses"]) is not route.public
    rotate = openapi["paths"]["/admin/tenant-kms/rotate"]["post"]
    assert rotate["security"] == [{"adminJwt": [], "stepUp": []}]


def test_openapi_refers_to_all_components_and_to_nothing_that_is_missing(
    openapi: dict[str, Any],
) -> None:
    found = set(re.findall(r'"#/components/(\w+)/([^"]+)"', json.dumps(openapi)))
    there = {
        (kind, name) for kind, named in openapi["components"].items() for name in named
        if kind != "securitySchemes"
    }  # fmt: skip
    # No operation has a wrong method; the answer is documented for people.
    assert there - found == {("responses", "MethodNotAllowed")}
    assert not found - there


def test_openapi_is_valid_and_so_are_its_examples(openapi: dict[str, Any]) -> None:
    validate(openapi)
    components = openapi["components"]
    seen = 0
    for media in _media(openapi):
        if "example" in media:
            schema = media["schema"] | {"components": components}
            OAS31Validator(schema).validate(media["example"])
            seen += 1
    assert seen >= 20


def _media(node: Any) -> Iterator[dict[str, Any]]:
    """Every piece of JSON content in a document."""
    if isinstance(node, dict):
        if "application/json" in node:
            yield node["application/json"]
        for inner in node.values():
            yield from _media(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _media(inner)


def test_openapi_documents_each_status_that_an_rpc_declares(openapi: dict[str, Any]) -> None:
    for route in ROUTES.values():
        responses = openapi["paths"][route.template][route.method.lower()]["responses"]
        for code in route.errors:
            assert str(CODES[code].http_status) in responses, (route.rpc.name, code)


def test_openapi_tells_of_every_operation_what_a_body_may_be_answered_with(
    openapi: dict[str, Any],
) -> None:
    """A body is read, and bounded, also where none is meant."""
    for route in ROUTES.values():
        answers = openapi["paths"][route.template][route.method.lower()]["responses"]
        assert answers.keys() >= {"408", "413", "415"}, route.template


def test_openapi_calls_nothing_nullable_that_is_always_there(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    made = [schema for schema in schemas.values() if "created_at" in schema.get("properties", {})]
    assert len(made) > 5
    assert {schema["properties"]["created_at"]["type"] for schema in made} == {"string"}
    usage = schemas["AccountUsage"]["properties"]
    assert not [name for name, member in usage.items() if "anyOf" in member]
    assert schemas["CreateApiKeyRequest"]["properties"]["scopes"]["minItems"] == 1


def test_openapi_says_when_to_come_again(openapi: dict[str, Any]) -> None:
    shared = openapi["components"]["responses"]
    assert [n for n, it in shared.items() if "Retry-After" in it["headers"]] == [
        "TooManyRequests", "ServiceUnavailable",
    ]  # fmt: skip


def test_openapi_shows_that_values_are_write_only(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    for member in ("value", "private_key", "passphrase"):
        assert schemas["CreateSecretRequest"]["properties"][member]["writeOnly"]
    replies = [name for name in schemas if not name.endswith("Request")]
    for name in replies:
        assert "writeOnly" not in json.dumps(schemas[name]), name


def test_openapi_requests_are_closed_and_replies_complete(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    request = schemas["CreateCertificateRequest"]
    assert request["additionalProperties"] is False
    assert request["required"] == ["name", "certificate_content"]
    assert set(schemas["PutSecretValueRequest"]["properties"]) == {
        "value", "environment", "certificate_content", "private_key", "passphrase",
        "certificate_type",
    }  # fmt: skip
    row = schemas["Secret"]
    left_out = set(row["properties"]) - set(row["required"])
    assert left_out == {"certificate_type", "metadata", "deleted_at"}


def test_the_examples_of_the_two_documented_endpoints_fit_their_schemas(
    openapi: dict[str, Any],
) -> None:
    schemas = openapi["components"]["schemas"]
    created = openapi["paths"]["/v1/secrets/certificate"]["post"]
    request = created["requestBody"]["content"]["application/json"]["example"]
    assert set(request) <= set(schemas["CreateCertificateRequest"]["properties"])
    answer = created["responses"]["201"]["content"]["application/json"]["example"]["data"]
    assert list(answer) == list(schemas["CreatedCertificate"]["properties"])
    assert list(answer["metadata"]) == list(schemas["CertificateMetadata"]["properties"])
    onboarded = openapi["paths"]["/admin/tenant-kms"]["post"]
    answer = onboarded["responses"]["200"]["content"]["application/json"]["example"]
    assert list(answer) == list(schemas["PutTenantKmsResponse"]["properties"])
