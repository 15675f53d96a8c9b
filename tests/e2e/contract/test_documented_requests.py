"""What breaks when the two documented requests, typed with curl or sent by a library, answer otherwise."""

from __future__ import annotations

import json
import subprocess
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.contract import wire
from tests.e2e.contract.certificates import FRESH, self_signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.tenant_user import TenantUser

    Send = Callable[["TenantUser", str, dict[str, Any]], httpx.Response]

CURL_SECONDS = "30"


def by_curl(tenant: TenantUser, path: str, body: dict[str, Any]) -> httpx.Response:
    """POST as the documentation shows it, with the real curl."""
    base_url = str(tenant.stack.http.base_url).rstrip("/")
    command = [
        *("curl", "-sS", "--noproxy", "*", "--max-time", CURL_SECONDS, "--include"),
        *("-X", "POST", f"{base_url}{path}"),
        *("-H", f"Authorization: Bearer {tenant.credential(path)}"),
        *("-H", "Content-Type: application/json"),
        *("-d", json.dumps(body, indent=2)),
    ]
    done = subprocess.run(command, check=True, capture_output=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    status, *lines = head.decode("ascii").split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    return httpx.Response(
        int(status.split()[1]),
        headers=[(h[0], h[1]) for h in headers],
        content=content,
    )


def by_httpx(tenant: TenantUser, path: str, body: dict[str, Any]) -> httpx.Response:
    """POST with a library."""
    return tenant.call("POST", path, json=body)


@pytest.fixture(params=[by_curl, by_httpx], ids=["curl", "httpx"])
def send(request: pytest.FixtureRequest) -> Send:
    """Both ways a client may send it."""
    chosen: Send = request.param
    return chosen


@dataclass(frozen=True, slots=True)
class _Made:
    form: dict[str, Any]
    body: dict[str, Any]


def certificate_request(name: str) -> _Made:
    """The documented request, and the documented answer to it."""
    made = self_signed(FRESH)
    metadata = {
        "subject": "CN=example.com, O=Example Inc, C=US",
        "issuer": "CN=example.com, O=Example Inc, C=US",
        "expires_at": made.not_after.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "has_private_key": True,
        "has_passphrase": False,
        "not_before": made.not_before.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "serial_number": f"{made.serial_number:x}",
        "sha256_fingerprint": made.fingerprint,
        "dns_names": ["example.com"],
        "ip_addresses": ["192.0.2.1"],
        "key_algorithm": "RSA",
        "key_size": 2048,
        "signature_algorithm": "sha256WithRSAEncryption",
        "is_ca": False,
        "chain_length": 1,
        "warnings": [{"code": "self_signed", "message": str}],
    }
    form = {
        "id": wire.UUID,
        "name": name,
        "secret_type": "certificate",
        "certificate_type": "pem",
        "base_environment": "production",
        "collection_id": None,
        "metadata": metadata,
    }
    body = {
        "name": name,
        "certificate_type": "pem",
        "certificate_content": made.pem,
        "private_key": made.private_key,
    }
    return _Made(form, body)


def test_onboarding_answers_as_documented(tenant: TenantUser, send: Send) -> None:
    customer = tenant.customer()
    answer = send(tenant, "/admin/tenant-kms", tenant.onboarding(customer))
    assert answer.status_code == 200, answer.text
    wire.assert_json(answer)
    wire.assert_form(
        {
            "ok": True,
            "provider": "aws",
            "kms_key_ref": customer.key_arn,
            "new_key_version": 1,
            "new_key_id": wire.UUID,
            "rewrap_status": "enqueued",
            "note": str,
        },
        answer.json(),
    )
    # "Enqueued" is true when it is said.
    assert tenant.latest_lease()["target_version"] == 1


def test_the_lease_exists_when_the_answer_is_sent(tenant: TenantUser, send: Send) -> None:
    tenant.create("before", "made under the platform's key")
    answer = send(tenant, "/admin/tenant-kms", tenant.onboarding(tenant.customer()))
    assert answer.json()["new_key_version"] == 2
    leases = tenant.get("/admin/tenant-kms/rewraps")
    assert leases.keys() == {"rewraps", "total", "page", "per_page", "total_pages"}
    assert [(lease["target_version"], lease["reason"]) for lease in leases["rewraps"]] == [
        (2, "onboard")
    ]


def test_a_certificate_is_answered_as_documented(tenant: TenantUser, send: Send) -> None:
    made = certificate_request("MY_TLS_CERT")
    answer = send(tenant, "/v1/secrets/certificate", made.body)
    data = wire.data_of(answer, 201)
    wire.assert_form(made.form, data)
    assert answer.headers["location"] == f"/v1/secrets/{data['id']}"


def test_the_same_certificate_through_the_general_endpoint_is_the_same_answer(
    tenant: TenantUser, send: Send
) -> None:
    made = certificate_request("MY_TLS_CERT")
    answer = send(tenant, "/v1/secrets", made.body | {"secret_type": "certificate"})
    data = wire.data_of(answer, 201)
    wire.assert_form(made.form, data)
    assert answer.headers["location"] == f"/v1/secrets/{data['id']}"


def test_a_certificate_is_listed_shown_and_fetched_as_it_was_sent(tenant: TenantUser) -> None:
    made = certificate_request("MY_TLS_CERT")
    data = wire.data_of(by_httpx(tenant, "/v1/secrets/certificate", made.body), 201)
    row = wire.ROW | {
        "id": data["id"],
        "name": "MY_TLS_CERT",
        "shortcode_name": "MY_TLS_CERT",
        "secret_type": "certificate",
        "certificate_type": "pem",
        "metadata": made.form["metadata"],
    }
    wire.assert_form([row], tenant.get("/v1/secrets")["data"])
    shown = tenant.get(f"/v1/secrets/{data['id']}")["data"]
    wire.assert_form(row | {"environments": [wire.ENVIRONMENT]}, shown)

    stored = tenant.access(secret_id=data["id"]).certificate
    assert stored.content == made.body["certificate_content"]
    assert stored.private_key == made.body["private_key"]
    assert not stored.HasField("passphrase")
    assert stored.certificate_type == "pem"


def test_what_the_optional_fields_say_is_in_the_answer(tenant: TenantUser) -> None:
    data = tenant.create(
        "  two   words ",
        "value",
        description="for people",
        environment="production",
        expires_at="2099-03-15T14:00:00+02:00",
        strict_expiry_enforcement=True,
        secret_type="api_key",
    )
    expected = wire.CREATED | {
        "name": "two_words",
        "shortcode_name": "two_words",
        "description": "for people",
        "expires_at": "2099-03-15T12:00:00.000Z",
        "strict_expiry_enforcement": True,
    }
    wire.assert_form(expected, data)


def test_a_string_lives_its_life_in_the_documented_shapes(tenant: TenantUser) -> None:
    created = tenant.call("POST", "/v1/secrets", json={"name": "DB", "value": "first"})
    data = wire.data_of(created, 201)
    wire.assert_form(wire.CREATED | {"name": "DB", "shortcode_name": "DB"}, data)
    path = f"/v1/secrets/{data['id']}"
    assert created.headers["location"] == path

    shown = wire.data_of(tenant.call("GET", path))
    same = {name: data[name] for name in wire.CREATED}
    wire.assert_form(wire.ROW | same | {"environments": [wire.ENVIRONMENT]}, shown)

    put = tenant.call("PUT", f"{path}/value", json={"value": "second"})
    told = {"id": data["id"], "name": "DB", "environment": "production", "value_version": 2}
    wire.assert_form(told, wire.data_of(put))
    assert tenant.value("DB") == "second"

    wire.assert_form({"deleted": True}, wire.data_of(tenant.call("DELETE", path)))
    wire.error_of(tenant.call("GET", path), 404, "not_found")
    wire.error_of(tenant.call("DELETE", path), 404, "not_found")
    wire.error_of(tenant.call("PUT", f"{path}/value", json={"value": "x"}), 404, "not_found")
    assert tenant.get("/v1/secrets")["data"] == []


def test_a_value_is_replaced_only_on_the_version_its_sender_knows(tenant: TenantUser) -> None:
    made = tenant.create("DB", "first")
    path = f"/v1/secrets/{made['id']}/value"
    late = tenant.call("PUT", path, json={"value": "late"}, headers={"if-match": "7"})
    wire.error_of(late, 412, "version_mismatch")
    right = tenant.call("PUT", path, json={"value": "next"}, headers={"if-match": "1"})
    assert wire.data_of(right)["value_version"] == 2
    assert tenant.value("DB") == "next"


def test_a_list_has_its_page_in_meta(tenant: TenantUser) -> None:
    empty = tenant.call("GET", "/v1/secrets").json()
    page = {"request_id": wire.UUID, "total": 0, "page": 1, "per_page": 20, "total_pages": 0}
    wire.assert_form({"data": [], "meta": page}, empty)

    tenant.create_all(dict.fromkeys(("b", "B", "a_", "a"), "value"))
    answer = tenant.call("GET", "/v1/secrets", params={"per_page": 3}).json()
    wire.assert_form(page | {"total": 4, "per_page": 3, "total_pages": 2}, answer["meta"])
    wire.assert_form([wire.ROW] * 3, answer["data"])
    # By code point: capitals first.
    assert [row["name"] for row in answer["data"]] == ["B", "a", "a_"]
    last = tenant.get("/v1/secrets", per_page=3, page=2)["data"]
    assert [row["name"] for row in last] == ["b"]
    backwards = tenant.get("/v1/secrets", order="desc", search="a")["data"]
    assert [row["name"] for row in backwards] == ["a_", "a"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"page": "0"}, "page"),
        ({"per_page": "101"}, "per_page"),
        ({"per_page": "0"}, "per_page"),
        ({"page": "one"}, "page"),
        ({"sort": "value"}, "sort"),
        ({"order": "up"}, "order"),
        ({"serach": "a"}, "serach"),
    ],
)
def test_a_page_out_of_range_is_refused(
    tenant: TenantUser, query: dict[str, str], field: str
) -> None:
    answer = tenant.call("GET", "/v1/secrets", params=query)
    error = wire.error_of(answer, 400, "validation_error")
    assert list(error["fields"]) == [field]


def test_the_status_shows_the_key_and_every_version(tenant: TenantUser) -> None:
    refused = tenant.call("GET", "/admin/tenant-kms")
    wire.error_of(refused, 404, "no_kms_config")
    tenant.create("before", "made under the platform's key")
    customer = tenant.customer()
    tenant.onboard(customer)
    assert tenant.ended_lease()["state"] == "completed"
    config = tenant.onboarding(customer)["config"]
    key = {"id": wire.UUID, "created_at": wire.TIME}
    first = {"version": 1, "wrap_method": "global", "status": "retired", "retired_at": wire.TIME}
    second = {"version": 2, "wrap_method": "customer_kms", "status": "active", "retired_at": None}
    wire.assert_form(
        {
            "config": {
                "provider": "customer_kms_aws",
                "kms_key_ref": customer.key_arn,
                "config": config,
                "sealed_since": None,
                "last_verified_at": wire.TIME,
                "last_verify_error": None,
            },
            "keys": [key | second | {"data_keys": 1}, key | first | {"data_keys": 0}],
        },
        tenant.get("/admin/tenant-kms"),
    )


def test_a_config_shows_null_for_what_was_not_given(tenant: TenantUser) -> None:
    customer = tenant.customer()
    body = tenant.onboarding(customer)
    # The issued one is sent when none is given; the customer trusts exactly that.
    del body["config"]["external_id"]
    assert tenant.call("POST", "/admin/tenant-kms", json=body).status_code == 200
    shown = tenant.get("/admin/tenant-kms")["config"]["config"]
    assert shown == {
        "region": customer.region,
        "role_arn": customer.role_arn,
        "external_id": shown["external_id"],
    }
    assert shown["external_id"] in (None, customer.external_id)


def test_verify_proves_a_key_and_says_how_long_it_took(tenant: TenantUser) -> None:
    empty = tenant.call("POST", "/admin/tenant-kms/verify")
    wire.error_of(empty, 404, "no_kms_config")
    body = tenant.onboarding(tenant.customer())
    answer = tenant.call("POST", "/admin/tenant-kms/verify", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    check = {"name": str, "ok": True, "detail": str}
    latency = {"wrap": float, "unwrap": float}
    wire.assert_form(
        {"ok": True, "latency_ms": latency, "checks": [check] * len(found["checks"])}, found
    )
    assert found["checks"]
    wire.error_of(tenant.call("GET", "/admin/tenant-kms"), 404, "no_kms_config")


def test_a_rotation_answers_as_documented(tenant: TenantUser) -> None:
    none_yet = tenant.call("POST", "/admin/tenant-kms/rotate", headers=tenant.step_up())
    wire.error_of(none_yet, 404, "no_kms_config")
    tenant.onboard(tenant.customer())
    rotated = tenant.rotate()
    wire.assert_form({"rotated": True, "new_version": 2, "rewrap_lease_id": int}, rotated)
    lease = tenant.ended_lease(rotated["rewrap_lease_id"])
    wire.assert_form(
        {
            "id": rotated["rewrap_lease_id"],
            "state": "completed",
            "reason": "rotate",
            "target_version": 2,
            "total": 0,
            "done": 0,
            "skipped": 0,
            "failed": 0,
            "rate_per_second": lease["rate_per_second"],
            "eta_seconds": lease["eta_seconds"],
            "throttle_per_second": None,
            "created_at": wire.TIME,
            "started_at": wire.TIME,
            "finished_at": wire.TIME,
            "last_error": None,
        },
        lease,
    )


def test_a_setup_names_our_principal_and_the_issued_external_id(tenant: TenantUser) -> None:
    found = tenant.get("/admin/tenant-kms/setup")
    assert found.keys() == {"aws", "gcp", "azure"}
    assert found["aws"].keys() == {"principal_arn", "external_id"}
    assert found["aws"]["external_id"] == f"coffer-{tenant.id}"


@pytest.mark.parametrize("path", ["/v1/secrets", "/admin/tenant-kms/rewraps"])
def test_a_clients_request_id_comes_back(tenant: TenantUser, path: str) -> None:
    mine = str(uuid.uuid4())
    answer = tenant.call("GET", path, headers={"x-request-id": mine})
    assert answer.headers["x-request-id"] == mine
    if path.startswith("/v1"):
        assert answer.json()["meta"]["request_id"] == mine
    refused = tenant.call("GET", "/v1/nothing", headers={"x-request-id": mine})
    assert wire.error_of(refused, 404, "not_found")["request_id"] == mine


def test_a_request_id_that_is_none_is_replaced(tenant: TenantUser) -> None:
    answer = tenant.call("GET", "/v1/secrets", headers={"x-request-id": "x\ty"})
    assert wire.UUID.fullmatch(answer.headers["x-request-id"])
    assert answer.json()["meta"]["request_id"] == answer.headers["x-request-id"]
