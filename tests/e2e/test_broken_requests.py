"""Requests that are wrong in some way, before the real services: status, shape, and what comes first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from cli import tenancy

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

JSON = {"content-type": "application/json"}
SECRETS, CERTIFICATES, KMS = "/v1/secrets", "/v1/secrets/certificate", "/admin/tenant-kms"
ALLOWED = {"type", "message", "request_id", "fields", "reason", "hint", "retry_after", "provider"}

BROKEN: dict[str, bytes] = {
    "malformed JSON": b'{"name": "a", ',
    "nothing but a word": b"hello",
    "a list": b"[]",
    "a number": b"7",
    "bad UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "a duplicate member": b'{"name": "a", "name": "b"}',
    "a duplicate member deep inside": b'{"config": {"region": "a", "region": "b"}}',
    "NaN": b'{"name": NaN}',
    "an unpaired surrogate": b'{"name": "\\ud800"}',
}


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error, in the one shape that there is."""
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert {"type", "message", "request_id"} <= set(error) <= ALLOWED
    assert error["request_id"] == answer.headers["x-request-id"] == str(UUID(error["request_id"]))
    assert len(error["message"]) > 10
    return error


@pytest.mark.parametrize("path", [SECRETS, CERTIFICATES, KMS, f"{KMS}/verify"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_body_is_400_and_401_without_a_credential(
    stack: RunningStack, tenant: TenantUser, path: str, fault: str
) -> None:
    body = BROKEN[fault]
    answer = tenant.call("POST", path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "validation_error"
    stranger = stack.http.post(path, content=body, headers=JSON)
    assert stranger.status_code == 401
    assert error_of(stranger)["type"] == "unauthenticated"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (SECRETS, {}, "name"),
        (SECRETS, {"name": "a"}, "value"),
        (SECRETS, {"name": 7, "value": "x"}, "name"),
        (SECRETS, {"name": "a", "value": ["x"]}, "value"),
        (SECRETS, {"name": "a", "value": ""}, "value"),
        (SECRETS, {"name": "a", "value": "x" * 65_537}, "value"),
        (SECRETS, {"name": "a/b", "value": "x"}, "name"),
        (SECRETS, {"name": "x" * 129, "value": "x"}, "name"),
        (SECRETS, {"name": "a", "value": "x", "environment": "nowhere"}, "environment"),
        (SECRETS, {"name": "a", "value": "x", "expires_at": "tomorrow"}, "expires_at"),
        (SECRETS, {"name": "a", "value": "x", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        (SECRETS, {"name": "a", "value": "x", "valeu": "y"}, "valeu"),
        (CERTIFICATES, {"name": "a", "certificate_content": "x", "passphrse": "y"}, "passphrse"),
        (CERTIFICATES, {"name": "a"}, "certificate_content"),
        (CERTIFICATES, {"name": "a", "certificate_content": "hello"}, "certificate_content"),
        (KMS, {}, "provider"),
        (KMS, {"provider": "aws", "kms_key_ref": 7, "config": {}}, "kms_key_ref"),
        (KMS, {"provider": "aws", "kms_key_ref": "arn", "config": []}, "config"),
        (KMS, {"provider": "oracle", "kms_key_ref": "k", "config": {}}, "provider"),
        (KMS, {"provider": "gcp", "kms_key_ref": "k", "config": {"reigon": "x"}}, "config.reigon"),
        (KMS, {"provider": "aws", "config": {}, "keyref": 1}, "keyref"),
    ],
)
def test_a_wrong_field_is_named(
    tenant: TenantUser, path: str, body: dict[str, Any], field: str
) -> None:
    answer = tenant.call("POST", path, json=body)
    assert answer.status_code == 400, answer.text
    error = error_of(answer)
    assert error["type"] == "validation_error"
    assert field in error["fields"]
    assert tenant.rows() == {}


@pytest.mark.parametrize("provider", ["gcp", "azure"])
def test_a_provider_of_a_later_version_is_refused_in_words(
    tenant: TenantUser, provider: str
) -> None:
    bodies = {
        "gcp": {
            "kms_key_ref": "projects/p-12345/locations/europe/keyRings/r/cryptoKeys/k",
            "config": {"impersonate_service_account": "a-robot@p-12345.iam.gserviceaccount.com"},
        },
        "azure": {
            "kms_key_ref": "https://myvault.vault.azure.net/keys/k",
            "config": {"vault_url": "https://myvault.vault.azure.net"},
        },
    }
    answer = tenant.call("POST", KMS, json={"provider": provider, **bodies[provider]})
    assert answer.status_code == 400
    error = error_of(answer)
    assert list(error["fields"]) == ["provider"]
    assert "not supported by this version" in error["message"]


@pytest.mark.parametrize("kind", ["oauth2", "certificate as pfx"])
def test_a_type_of_a_later_version_is_refused_in_words(tenant: TenantUser, kind: str) -> None:
    if kind == "oauth2":
        body = {"name": "a", "value": "x", "secret_type": "oauth2"}
        wanted, path = "unsupported_type", SECRETS
    else:
        body = {"name": "a", "certificate_content": "AAAA", "certificate_type": "pfx"}
        wanted, path = "validation_error", CERTIFICATES
    error = error_of(tenant.call("POST", path, json=body))
    assert error["type"] == wanted
    assert "support" in error["message"]


def test_2_mib_are_413_also_for_a_client_that_sends_all_of_it_first(
    stack: RunningStack, tenant: TenantUser
) -> None:
    body = b'{"name": "' + b"x" * (2 * 1024 * 1024) + b'"}'
    for headers in (JSON, JSON | {"authorization": f"Bearer {tenant.api_key}"}):
        answer = stack.http.post(SECRETS, content=body, headers=headers)
        assert answer.status_code == 413
        assert error_of(answer)["type"] == "payload_too_large"


def test_the_media_type_comes_before_authentication(stack: RunningStack) -> None:
    answer = stack.http.post(SECRETS, content=b"name=a", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert error_of(answer)["type"] == "unsupported_media_type"


def test_an_unknown_path_and_a_wrong_method_come_before_authentication(
    stack: RunningStack,
) -> None:
    unknown = stack.http.get("/v1/secretz")
    assert (unknown.status_code, error_of(unknown)["type"]) == (404, "not_found")
    wrong = stack.http.delete("/admin/tenant-kms/rotate")
    assert (wrong.status_code, error_of(wrong)["type"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


def test_the_request_id_of_the_client_is_kept_and_nonsense_is_not(
    stack: RunningStack, tenant: TenantUser
) -> None:
    wanted = "0b9b5c1e-7f3a-4b53-9c36-1c9f2f0a4d11"
    answer = tenant.call("GET", SECRETS, headers={"x-request-id": wanted})
    assert answer.headers["x-request-id"] == answer.json()["meta"]["request_id"] == wanted
    answer = stack.http.get(SECRETS, headers={"x-request-id": "<script>"})
    assert error_of(answer)["request_id"] != "<script>"


def test_the_scope_comes_before_the_body(stack: RunningStack, tenant: TenantUser) -> None:
    reader = tenancy.create_api_key(stack.stack.admin_dsn, tenant.id, "r", ["secrets:read"])
    headers = JSON | {"authorization": f"Bearer {reader}"}
    answer = stack.http.post(SECRETS, content=b"{", headers=headers)
    assert (answer.status_code, error_of(answer)["type"]) == (403, "insufficient_scope")
    assert stack.http.get(SECRETS, headers=headers).status_code == 200


def test_the_role_comes_before_the_body(stack: RunningStack, tenant: TenantUser) -> None:
    viewer = stack.issuer.admin(tenant.id, role="viewer")
    headers = JSON | {"authorization": f"Bearer {viewer}"}
    answer = stack.http.post(KMS, content=b"{", headers=headers)
    assert (answer.status_code, error_of(answer)["type"]) == (403, "forbidden")


def test_the_step_up_comes_before_the_body(tenant: TenantUser) -> None:
    answer = tenant.call("POST", f"{KMS}/rotate", content=b"{", headers=JSON)
    error = error_of(answer)
    assert (answer.status_code, error["type"], error["reason"]) == (
        403,
        "step_up_required",
        "missing",
    )


SERVICE_ACCOUNT = json.dumps({"type": "service_account", "private_key": "-----BEGIN"})
STATIC: dict[str, tuple[Any, str]] = {
    "an access key in config": ({"config": {"access_key_id": "x"}}, "config.access_key_id"),
    "in other spelling": ({"config": {"Aws-Secret-AccessKey": "x"}}, "config.Aws-Secret-AccessKey"),
    "at the top": ({"secret_access_key": "x"}, "secret_access_key"),
    "deep inside": ({"config": {"a": [{"sessionToken": 1}]}}, "config.a[0].sessionToken"),
    "a value": ({"config": {"external_id": "AKIAIOSFODNN7EXAMPLE"}}, "config.external_id"),
    "a document": ({"config": {"region": SERVICE_ACCOUNT}}, "config.region"),
    "a PEM key": ({"kms_key_ref": "-----BEGIN RSA PRIVATE KEY-----\nAA"}, "kms_key_ref"),
}


@pytest.mark.parametrize("path", [KMS, f"{KMS}/verify"])
@pytest.mark.parametrize("what", STATIC)
def test_static_credentials_are_refused_first_and_the_cloud_hears_nothing(
    stack: RunningStack, tenant: TenantUser, path: str, what: str
) -> None:
    extra, field = STATIC[what]
    customer = tenant.customer()
    good = tenant.onboarding(customer)
    config = {**good["config"], **extra.get("config", {})}
    # Once beside a body that is right, once beside one that is wrong in every other way.
    for body in (good | extra | {"config": config}, {"provider": 7, "nonsense": []} | extra):
        answer = tenant.call("POST", path, json=body)
        assert answer.status_code == 400
        error = error_of(answer)
        assert error["type"] == "static_credentials_rejected"
        assert list(error["fields"]) == [field]
        assert "AKIAIOSFODNN7EXAMPLE" not in answer.text
    for resource in (customer.key_arn, customer.alias_arn, customer.role_arn):
        assert stack.cloud.count(resource=resource) == 0
    assert tenant.call("GET", KMS).status_code == 404


def test_broken_json_is_told_before_the_static_credentials_in_it(tenant: TenantUser) -> None:
    answer = tenant.call("POST", KMS, content=b'{"secret_access_key": "x",', headers=JSON)
    assert error_of(answer)["type"] == "validation_error"
