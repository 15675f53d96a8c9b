"""What breaks when a request that is wrong in itself gets in, or is answered in another shape."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from cli import tenancy
from services.common import api_keys
from tests.e2e.contract import wire
from tests.e2e.contract.endpoints import CLOSED, ENDPOINTS, WITH_BODY, Endpoint, rpcs

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

JSON = {"content-type": "application/json"}
MEBIBYTE = 1024 * 1024
EVERY = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
EVERY_CLOSED = pytest.mark.parametrize("endpoint", CLOSED, ids=str)
EVERY_WITH_BODY = pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)

BROKEN = {
    "cut off": b'{"name": "x"',
    "empty pair": b'{"name": }',
    "trailing comma": b'{"name": "x",}',
    "single quotes": b"{'name': 'x'}",
    "no JSON": b"name=x&value=y",
    "two documents": b"{} {}",
    "a comment": b'{"name": "x" /* the name */}',
    "NaN": b'{"name": NaN}',
    "control character": b'{"name": "a\nb"}',
    "bad UTF-8": b'{"name": "\xff"}',
    "UTF-8 cut off": b'{"name": "\xe2\x82"}',
    "overlong UTF-8": b'{"name": "\xc0\x80"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "unpaired surrogate": b'{"name": "\\ud800"}',
    "duplicate member": b'{"name": "x", "name": "x"}',
    "duplicate member by escape": b'{"name": "x", "n\\u0061me": "x"}',
    "duplicate member inside": b'{"config": {"region": "a", "region": "a"}}',
    "list": b"[]",
    "list of one": b'[{"name": "x"}]',
    "text": b'"name"',
    "number": b"1",
    "true": b"true",
    "null": b"null",
    "blank": b" ",
    "huge number": b'{"name": 1e999}',
    "endless number": b'{"name": ' + b"9" * 10_000 + b"}",
    "depth": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.fixture(scope="module")
def anybody(stack: RunningStack) -> TenantUser:
    """One tenant for requests that change nothing."""
    return stack.tenant()


def send(
    user: TenantUser, endpoint: Endpoint, headers: dict[str, str] | None = None, **arguments: Any
) -> httpx.Response:
    """The endpoint called by somebody who may."""
    fresh = user.step_up() if endpoint.step_up else {}
    return user.call(endpoint.method, endpoint.path(), headers=fresh | (headers or {}), **arguments)


def send_bare(stack: RunningStack, endpoint: Endpoint, **arguments: Any) -> httpx.Response:
    """The endpoint called without a credential."""
    return stack.http.request(endpoint.method, endpoint.path(), **arguments)


def stranger(user: TenantUser) -> str:
    """A well signed token of a tenant that does not exist."""
    return user.stack.issuer.admin("00000000-0000-4000-8000-000000000000")


def test_the_protos_name_the_endpoints_of_this_version() -> None:
    # Not the list under test: a guard against an empty one.
    assert {(one.method, one.template) for one in ENDPOINTS} >= {
        ("POST", "/admin/tenant-kms"),
        ("POST", "/v1/secrets/certificate"),
        ("GET", "/v1/secrets/{id}"),
        ("GET", "/admin/tenant-kms/rewraps/{id}"),
        ("POST", "/admin/tenant-kms/unseal"),
        ("POST", "/admin/tenant-kms/keys/{version}/revoke"),
        ("GET", "/admin/tenant-kms/keys/{version}/receipt"),
        ("DELETE", "/admin/tenant-kms"),
        ("GET", "/.well-known/coffer-signing-keys"),
    }


@EVERY_WITH_BODY
def test_a_body_that_is_no_object_is_refused(anybody: TenantUser, endpoint: Endpoint) -> None:
    for body in BROKEN.values():
        answer = send(anybody, endpoint, JSON, content=body)
        wire.error_of(answer, 400, "validation_error")


@EVERY_WITH_BODY
def test_an_unknown_member_is_named(anybody: TenantUser, endpoint: Endpoint) -> None:
    answer = send(anybody, endpoint, json={"passphrse": "a mistyped secret"})
    error = wire.error_of(answer, 400, "validation_error")
    assert "passphrse" in error["fields"]
    assert "mistyped secret" not in answer.text


@EVERY
def test_an_unknown_question_is_named(anybody: TenantUser, endpoint: Endpoint) -> None:
    answer = send(anybody, endpoint, params={"verbos": "1"})
    error = wire.error_of(answer, 400, "validation_error")
    assert "verbos" in error["fields"]


@EVERY_WITH_BODY
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/jsonp"},
        JSON | {"content-encoding": "gzip"},
    ],
    ids=str,
)
def test_a_body_of_another_type_is_refused(
    anybody: TenantUser, endpoint: Endpoint, headers: dict[str, str]
) -> None:
    answer = send(anybody, endpoint, headers, content=b"{}")
    wire.error_of(answer, 415, "unsupported_media_type")
    # Before anybody asks who it is.
    bare = send_bare(anybody.stack, endpoint, headers=headers, content=b"{}")
    wire.error_of(bare, 415, "unsupported_media_type")


def test_the_right_type_may_have_parameters(anybody: TenantUser) -> None:
    for name, declared in {
        "plain": "application/json; charset=utf-8",
        "CAPITALS": "Application/JSON",
    }.items():
        body = json.dumps({"name": name, "value": "x"}).encode()
        headers = {"content-type": declared}
        answer = anybody.call("POST", "/v1/secrets", headers=headers, content=body)
        assert answer.status_code == 201, answer.text


def test_no_body_counts_as_an_empty_object(anybody: TenantUser) -> None:
    error = wire.error_of(anybody.call("POST", "/v1/secrets"), 400, "validation_error")
    assert error["fields"].keys() == {"name", "value"}
    error = wire.error_of(anybody.call("POST", "/admin/tenant-kms"), 400, "validation_error")
    assert error["fields"].keys() == {"provider", "kms_key_ref", "config"}
    verify = anybody.call("POST", "/admin/tenant-kms/verify")
    wire.error_of(verify, 404, "no_kms_config")
    for method, path in (("POST", "/rotate"), ("POST", "/unseal"), ("DELETE", "")):
        answer = anybody.call(method, f"/admin/tenant-kms{path}", headers=anybody.step_up())
        wire.error_of(answer, 404, "no_kms_config")
    revoke = "/admin/tenant-kms/keys/1/revoke"
    answer = anybody.call("POST", revoke, headers=anybody.step_up())
    assert wire.error_of(answer, 400, "validation_error")["fields"].keys() == {"confirm"}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST", "GET", "OPTIONS", "TRACE"])
def test_a_method_that_the_path_does_not_know_is_refused(anybody: TenantUser, method: str) -> None:
    for path in {endpoint.path() for endpoint in ENDPOINTS}:
        known = {one.method for one in ENDPOINTS if one.serves(path)}
        if method in known:
            continue
        # Nobody has to be known for it, and the body is not looked at.
        answer = anybody.stack.http.request(method, path, content=b"{")
        wire.error_of(answer, 405, "method_not_allowed")
        allowed = {one.strip() for one in answer.headers["allow"].split(",")}
        assert known <= allowed <= known | {"HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/secret",
        "/v1/secrets/",
        "/v1//secrets",
        "/V1/secrets",
        "/v2/secrets",
        "/admin",
        "/admin/tenant-kms/",
        "/admin/tenant-kms/keys",
        "/v1/secrets/%2e%2e/secrets",
        "/v1/secrets/00000000-0000-4000-8000-000000000000/values",
        "/coffer.secrets.v1.SecretsService/AccessSecret",
        "/v1/secrets/x%00y/value",
    ],
)
def test_an_unknown_path_is_refused(anybody: TenantUser, path: str) -> None:
    for method in ("GET", "POST"):
        answer = anybody.call(method, path, json={} if method == "POST" else None)
        if answer.status_code == 405 and path.endswith("/value"):
            continue
        wire.error_of(answer, 404, "not_found")
    bare = anybody.stack.http.get("/v1/nowhere")
    wire.error_of(bare, 404, "not_found")


@pytest.mark.parametrize("value", ["x", "1", "-1", "0", "%20", "99999999999999999999999", "%F0%9F"])
def test_an_id_that_is_none_is_not_found(tenant: TenantUser, value: str) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.places:
            path = endpoint.path(dict.fromkeys(endpoint.places, value))
            headers = tenant.step_up() if endpoint.step_up else {}
            body = endpoint.body(tenant)
            answer = tenant.call(endpoint.method, path, headers=headers, **body)
            assert answer.status_code in (400, 404), (path, answer.text)
            code = {400: "validation_error", 404: "not_found"}[answer.status_code]
            wire.error_of(answer, answer.status_code, code)


@EVERY_WITH_BODY
def test_two_mebibytes_are_refused_whoever_sends_them(
    anybody: TenantUser, endpoint: Endpoint
) -> None:
    body = b'{"name": "' + b"x" * (2 * MEBIBYTE) + b'"}'
    answer = send(anybody, endpoint, JSON, content=body)
    wire.error_of(answer, 413, "payload_too_large")
    in_pieces = send_bare(anybody.stack, endpoint, headers=JSON, content=iter([body, body]))
    wire.error_of(in_pieces, 413, "payload_too_large")
    # Size comes before type.
    untyped = send_bare(anybody.stack, endpoint, content=body)
    wire.error_of(untyped, 413, "payload_too_large")


def test_a_plain_client_that_sends_everything_first_reads_the_refusal(
    anybody: TenantUser,
) -> None:
    where = urlsplit(str(anybody.stack.http.base_url))
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    try:
        # It neither waits nor reads before all eight are out.
        connection.request("POST", "/v1/secrets", b"x" * (7 * MEBIBYTE), JSON)
        answer = connection.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["error"]["type"] == "payload_too_large"
    finally:
        connection.close()


def test_one_mebibyte_is_let_in_and_a_byte_more_is_not(anybody: TenantUser) -> None:
    body = b'{"name": "large", "value": "x"}'
    padded = body + b" " * (MEBIBYTE - len(body))
    answer = anybody.call("POST", "/v1/secrets", headers=JSON, content=padded + b" ")
    wire.error_of(answer, 413, "payload_too_large")
    answer = anybody.call("POST", "/v1/secrets", headers=JSON, content=padded)
    assert answer.status_code == 201, answer.text


NUL = "a\x00b"
"""What no text of the database can hold."""
GOOD: dict[str, dict[str, Any]] = {
    "CreateSecret": {"name": "NUL", "value": "x"},
    "CreateCertificate": {"name": "NUL", "certificate_content": "x"},
    "PutSecretValue": {"value": "x"},
    "RestoreSecretVersion": {"value_version": 1},
    "CreateEnvironment": {"name": "nul"},
    "CreateCollection": {"name": "nul"},
    "CreateApiKey": {"name": "nul", "scopes": ["audit:read"]},
    "RevokeKeyVersion": {},
    "PutTenantKms": {"provider": "aws", "kms_key_ref": NUL, "config": {"region": NUL}},
    "VerifyTenantKms": {"provider": "aws", "kms_key_ref": NUL, "config": {"region": NUL}},
}
"""The members beside one text, so that the request gets as far as it can."""


def test_no_text_that_the_database_cannot_hold_gets_as_far_as_there(tenant: TenantUser) -> None:
    own = {"secrets": tenant.create("MINE", "x")["id"]}
    for word in ("collections", "environments"):
        made = tenant.call("POST", f"/v1/{word}", json={"name": "mine"})
        own[word] = made.json()["data"]["id"]
    tried = set()
    for endpoint in ENDPOINTS:
        word = endpoint.template.split("/")[2]
        for name, many in texts(endpoint):
            value: Any = [NUL] if many else NUL
            if name in endpoint.places:
                path, sent = endpoint.path({name: "a%00b"}), GOOD.get(str(endpoint), {})
            else:
                path = endpoint.path({"id": own[word]} if word in own else None)
                sent = GOOD.get(str(endpoint), {}) | {name: value}
            question: dict[str, Any] = {"json" if endpoint.has_body else "params": sent}
            headers = tenant.step_up() if endpoint.step_up else {}
            answer = tenant.call(endpoint.method, path, headers=headers, **question)
            assert answer.status_code < 500, (str(endpoint), name, answer.text)
            kept_in_clear = name not in {"value", "private_key", "passphrase"}
            assert answer.status_code >= 400 or not kept_in_clear, (str(endpoint), name)
            tried.add(f"{endpoint}.{name}")
    assert tried >= {"ListSecrets.search", "ListAuditLogs.action", "CreateApiKey.name"}
    for body in (GOOD["PutTenantKms"], GOOD["PutTenantKms"] | {"provider": NUL}):
        for method, path in (("POST", ""), ("POST", "/verify")):
            answer = tenant.call(method, f"/admin/tenant-kms{path}", json=body)
            wire.error_of(answer, 400, "validation_error")
    for claims in ({"jti": NUL}, {"jti": "a\ud800b"}):
        headers = {"x-knoxcall-stepup": step_up_of(tenant, claims)}
        answer = tenant.call("POST", "/admin/tenant-kms/rotate", headers=headers)
        assert wire.error_of(answer, 403, "step_up_required")["reason"] == "invalid"
    for subject in (NUL, "a\ud800b", "a\nb"):
        token = tenant.stack.issuer.admin(tenant.id, subject=subject)
        headers = {"authorization": f"Bearer {token}"}
        answer = tenant.stack.http.get("/admin/tenant-kms", headers=headers)
        wire.error_of(answer, 401, "unauthenticated")
    odd = {"x-request-id": b"\xff", "idempotency-key": b"\x80"}
    for name, text in odd.items():
        answer = tenant.call("POST", "/v1/collections", headers={name: text}, json={"name": "odd"})
        assert answer.status_code == (400 if name == "idempotency-key" else 201), answer.text


def texts(endpoint: Endpoint) -> list[tuple[str, bool]]:
    """The names of the texts that the request may have; whether each is a list."""
    [rpc] = [
        one
        for one in rpcs()
        if one.full_name.replace(f".{one.name}", f"/{one.name}") == endpoint.rpc
    ]
    fields = [one for one in rpc.input_type.fields if one.type == one.TYPE_STRING]
    return [(one.name, one.is_repeated) for one in fields]


def step_up_of(user: TenantUser, claims: dict[str, Any]) -> str:
    who = {"sub": "dev-owner", "tenant_id": user.id, "role": "owner", "purpose": "step_up"}
    return user.stack.issuer.sign(who | {"auth_time": int(time.time())} | claims, 300)


@EVERY_CLOSED
def test_who_is_unknown_learns_nothing_about_the_body(
    anybody: TenantUser, endpoint: Endpoint
) -> None:
    body = {"content": b'{"password": '} if endpoint.has_body else {}
    unknown = f"tk_live_{'0' * 46}"
    for credential in (
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer nonsense"},
        {"authorization": "Basic eDp5"},
        {"authorization": f"Bearer {unknown}"},
        {"x-api-key": unknown},
        {"authorization": f"Bearer {api_keys.generate().token}"},
        {"authorization": f"Bearer {stranger(anybody)}"},
    ):
        answer = send_bare(anybody.stack, endpoint, headers=credential | JSON, **body)
        error = wire.error_of(answer, 401, "unauthenticated")
        assert "fields" not in error
        assert answer.headers["www-authenticate"].startswith("Bearer")


@EVERY_CLOSED
def test_who_may_not_learns_nothing_about_the_body(anybody: TenantUser, endpoint: Endpoint) -> None:
    stack = anybody.stack
    if endpoint.admin:
        credential, code = stack.issuer.admin(anybody.id, role="viewer"), "forbidden"
    elif endpoint.policy.api_key.scope:
        dsn, asked = stack.stack.admin_dsn, endpoint.policy.api_key.scope
        other = "audit:read" if asked != "audit:read" else "secrets:read"
        credential = tenancy.create_api_key(dsn, anybody.id, "other", [other])
        code = "insufficient_scope"
    else:
        pytest.skip("any valid key may call it")
    body = {"content": b'{"password": '} if endpoint.has_body else {}
    headers = {"authorization": f"Bearer {credential}"} | JSON
    answer = send_bare(stack, endpoint, headers=headers, **body)
    assert "fields" not in wire.error_of(answer, 403, code)
