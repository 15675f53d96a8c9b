"""What breaks when the two documented requests, typed with curl or sent by a library, answer otherwise."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.contract import wire
from tests.e2e.contract.certificates import FRESH, self_signed
from tests.fakes import certificates

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
    serial = f"{made.serial_number:x}"
    metadata = {
        "subject": "CN=example.com, O=Example Inc, C=US",
        "issuer": "CN=example.com, O=Example Inc, C=US",
        "expires_at": made.not_after.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "has_private_key": True,
        "has_passphrase": False,
        "not_before": made.not_before.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "serial_number": serial.zfill(len(serial) + len(serial) % 2),  # whole octets
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
    body = made.body | {"expires_at": None}  # as if it were not there
    data = wire.data_of(by_httpx(tenant, "/v1/secrets/certificate", body), 201)
    row = wire.ROW | {
        "expires_at": made.form["metadata"]["expires_at"],
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
    assert stored.normal_form.certificate == made.body["certificate_content"]
    assert stored.normal_form.private_key == made.body["private_key"]


def test_what_expires_before_a_day_is_listed_by_when(tenant: TenantUser) -> None:
    now = datetime.now(UTC)
    for name, days in (("SOON", 5), ("LATER", 50), ("NEXT", 20)):
        issued = certificates.issue(not_before=now, not_after=now + timedelta(days=days))
        body = {"name": name, "certificate_content": issued.pem}
        wire.data_of(by_httpx(tenant, "/v1/secrets/certificate", body), 201)
    tenant.create("STRING", "never expires")
    day = (now + timedelta(days=30)).isoformat()
    found = tenant.get("/v1/secrets", expires_before=day, sort="expires_at")
    assert [row["name"] for row in found["data"]] == ["SOON", "NEXT"]
    assert all(row["expires_at"] == row["metadata"]["expires_at"] for row in found["data"])


def test_a_key_alone_is_answered_with_null_for_what_only_a_certificate_has(
    tenant: TenantUser,
) -> None:
    key = certificates.key_pem(certificates.ec_key())
    body = {"name": "KEY", "certificate_type": "key", "certificate_content": key}
    data = wire.data_of(by_httpx(tenant, "/v1/secrets/certificate", body), 201)
    facts: dict[str, Any] = {
        "subject": None,
        "issuer": None,
        "expires_at": None,
        "has_private_key": True,
        "has_passphrase": False,
        "not_before": None,
        "serial_number": None,
        "sha256_fingerprint": None,
        "dns_names": [],
        "ip_addresses": [],
        "key_algorithm": "EC",
        "key_size": 256,
        "signature_algorithm": None,
        "is_ca": None,
        "chain_length": 0,
        "warnings": [],
    }
    form = {
        "id": wire.UUID,
        "name": "KEY",
        "secret_type": "certificate",
        "certificate_type": "key",
        "base_environment": "production",
        "collection_id": None,
        "metadata": facts,
    }
    wire.assert_form(form, data)
    shown = tenant.get(f"/v1/secrets/{data['id']}")["data"]
    assert shown["metadata"] == data["metadata"]
    assert shown["expires_at"] is None
    assert tenant.get("/v1/secrets")["data"][0]["metadata"] == data["metadata"]
    stored = tenant.access(name="KEY").certificate
    assert (stored.content, stored.certificate_type) == (key, "key")
    normal = stored.normal_form
    assert (normal.certificate, normal.chain, normal.private_key) == ("", "", key)
