"""The documented requests, typed as a client types them, and their answers member for member."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.fakes.certificates import Issued, issue, name, rsa_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

CURL = shutil.which("curl")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CREATED = {
    "id", "name", "shortcode_name", "description", "base_environment", "environment_count",
    "secret_type", "collection_id", "expires_at", "strict_expiry_enforcement", "value_version",
    "created_at",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a client got; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


def by_curl(stack: RunningStack, method: str, path: str, credential: str, body: Any) -> Answer:
    assert CURL is not None
    done = subprocess.run(
        [
            CURL, "-sS", "--noproxy", "*", "-i", "-X", method,
            f"{stack.stack.credentials.base_url}{path}",
            "-H", f"Authorization: Bearer {credential}",
            "-H", "Content-Type: application/json",
            "-d", json.dumps(body),
        ],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    lowered = {key.lower(): value for key, value in headers.items()}
    return Answer(int(status.split()[1]), lowered, json.loads(content))


def by_httpx(stack: RunningStack, method: str, path: str, credential: str, body: Any) -> Answer:
    headers = {"Authorization": f"Bearer {credential}"}
    got = stack.http.request(method, path, headers=headers, json=body)
    return Answer(got.status_code, dict(got.headers), got.json())


@pytest.fixture(params=["curl", "httpx"])
def send(request: pytest.FixtureRequest, stack: RunningStack) -> Any:
    if request.param == "curl" and CURL is None:
        pytest.skip("there is no curl here")
    client = by_curl if request.param == "curl" else by_httpx

    def sent(user: TenantUser, method: str, path: str, body: Any) -> Answer:
        return client(stack, method, path, user.credential(path), body)

    return sent


def soon(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def certificate() -> Issued:
    """A server certificate of a CA whose names are those of the documentation."""
    authority = issue(name("Let's Encrypt Authority X3", "Let's Encrypt"), ca=True)
    return issue(
        name("example.com"),
        by=authority,
        key=rsa_key(),
        dns=["example.com", "www.example.com"],
        ips=["192.0.2.7"],
        not_before=soon(-1),
        not_after=soon(90),
    )


def check_request_id(answer: Answer) -> str:
    header = answer.headers["x-request-id"]
    assert str(UUID(header)) == header
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    return header


def test_onboarding_answers_as_documented(send: Any, tenant: TenantUser) -> None:
    customer = tenant.customer()
    answer = send(tenant, "POST", "/admin/tenant-kms", tenant.onboarding(customer))
    assert answer.status == 200
    check_request_id(answer)
    body = answer.body
    assert set(body) == {
        "ok", "provider", "kms_key_ref", "new_key_version", "new_key_id", "rewrap_status", "note",
    }  # fmt: skip
    assert body["ok"] is True
    assert body["provider"] == "aws"
    assert body["kms_key_ref"] == customer.key_arn
    assert type(body["new_key_version"]) is int
    assert body["new_key_version"] == 1
    assert str(UUID(body["new_key_id"])) == body["new_key_id"]
    assert body["rewrap_status"] == "enqueued"
    assert "5 minutes" in body["note"]
    # `enqueued` is true: the lease was there when the answer was sent.
    leases = tenant.get("/admin/tenant-kms/rewraps")
    assert [lease["target_version"] for lease in leases["rewraps"]] == [1]


def test_what_was_stored_before_makes_the_first_onboarding_version_2(tenant: TenantUser) -> None:
    tenant.create("before", "value")
    assert tenant.onboard(tenant.customer())["new_key_version"] == 2
    lease = tenant.ended_lease()
    assert (lease["state"], lease["done"]) == ("completed", 1)
    assert tenant.value("before") == "value"


def test_a_certificate_answers_as_documented(send: Any, tenant: TenantUser) -> None:
    leaf = certificate()
    body = {
        "name": "MY_TLS_CERT",
        "certificate_type": "pem",
        "certificate_content": leaf.pem,
        "private_key": leaf.key_pem,
    }
    answer = send(tenant, "POST", "/v1/secrets/certificate", body)
    assert answer.status == 201, answer.body
    request_id = check_request_id(answer)
    assert set(answer.body) == {"data", "meta"}
    assert answer.body["meta"] == {"request_id": request_id}
    data = answer.body["data"]
    assert answer.headers["location"] == f"/v1/secrets/{data['id']}"
    assert str(UUID(data["id"])) == data["id"]
    metadata = data.pop("metadata")
    assert data == {
        "id": data["id"],
        "name": "MY_TLS_CERT",
        "secret_type": "certificate",
        "certificate_type": "pem",
        "base_environment": "production",
        "collection_id": None,
    }
    found = leaf.certificate
    warnings = metadata.pop("warnings")
    assert [set(warning) for warning in warnings] == [{"code", "message"}] * len(warnings)
    assert {warning["code"] for warning in warnings} <= {"incomplete_chain"}
    assert metadata == {
        "subject": "CN=example.com, O=Example Inc, C=US",
        "issuer": "CN=Let's Encrypt Authority X3, O=Let's Encrypt, C=US",
        "expires_at": wire(found.not_valid_after_utc),
        "has_private_key": True,
        "has_passphrase": False,
        "not_before": wire(found.not_valid_before_utc),
        "serial_number": f"{found.serial_number:x}",
        "sha256_fingerprint": found.fingerprint(found.signature_hash_algorithm).hex(),  # type: ignore[arg-type]
        "dns_names": ["example.com", "www.example.com"],
        "ip_addresses": ["192.0.2.7"],
        "key_algorithm": "RSA",
        "key_size": 2048,
        "signature_algorithm": "ecdsa-with-SHA256",
        "is_ca": False,
        "chain_length": 1,
    }


def test_what_a_consumer_gets_is_byte_for_byte_what_was_sent(tenant: TenantUser) -> None:
    leaf = certificate()
    body = {"name": "CERT", "certificate_content": leaf.pem, "private_key": leaf.key_pem}
    assert tenant.call("POST", "/v1/secrets/certificate", json=body).status_code == 201
    reply = tenant.access(name="CERT")
    assert reply.certificate.content == leaf.pem
    assert reply.certificate.private_key == leaf.key_pem
    assert not reply.certificate.HasField("passphrase")
    assert (reply.secret_type, reply.environment, reply.value_version) == (
        "certificate",
        "production",
        1,
    )


def test_a_certificate_by_the_general_path_has_the_same_members(
    send: Any, tenant: TenantUser
) -> None:
    leaf = certificate()
    body = {"name": "CERT", "secret_type": "certificate", "certificate_content": leaf.pem}
    answer = send(tenant, "POST", "/v1/secrets", body)
    assert answer.status == 201, answer.body
    assert set(answer.body["data"]) == {
        "id", "name", "secret_type", "certificate_type", "base_environment", "collection_id",
        "metadata",
    }  # fmt: skip
    assert answer.body["data"]["metadata"]["has_private_key"] is False


def test_a_string_and_its_rows_have_the_documented_members(send: Any, tenant: TenantUser) -> None:
    expires = "2031-05-06T07:08:09.123Z"
    body = {
        "name": "  my  api   token ",
        "value": "s3cret",
        "description": "for tests",
        "expires_at": "2031-05-06T09:08:09.1234567+02:00",
        "strict_expiry_enforcement": True,
    }
    answer = send(tenant, "POST", "/v1/secrets", body)
    assert answer.status == 201, answer.body
    made = answer.body["data"]
    assert set(made) == CREATED
    assert TIME.fullmatch(made["created_at"])
    assert answer.headers["location"] == f"/v1/secrets/{made['id']}"
    assert made == {
        "id": made["id"],
        "name": "my_api_token",
        "shortcode_name": "my_api_token",
        "description": "for tests",
        "base_environment": "production",
        "environment_count": 1,
        "secret_type": "string",
        "collection_id": None,
        "expires_at": expires,
        "strict_expiry_enforcement": True,
        "value_version": 1,
        "created_at": made["created_at"],
    }
    listed = tenant.get("/v1/secrets")
    assert set(listed["meta"]) == {"request_id", "total", "page", "per_page", "total_pages"}
    assert listed["data"] == [made | {"updated_at": made["created_at"]}]
    shown = tenant.get(f"/v1/secrets/{made['id']}")["data"]
    environments = shown.pop("environments")
    assert shown == listed["data"][0]
    assert environments == [
        {
            "environment_name": "production",
            "value_version": 1,
            "updated_at": made["created_at"],
            "expires_at_override": None,
        }
    ]


def test_a_new_value_and_a_deletion_answer_as_documented(tenant: TenantUser) -> None:
    made = tenant.create("token", "one")
    assert tenant.put(made["id"], "two") == {
        "id": made["id"],
        "name": "token",
        "environment": "production",
        "value_version": 2,
    }
    assert tenant.value("token") == "two"
    path = f"/v1/secrets/{made['id']}"
    stale = tenant.call("PUT", f"{path}/value", json={"value": "three"}, headers={"if-match": "1"})
    assert (stale.status_code, stale.json()["error"]["type"]) == (412, "version_mismatch")
    gone = tenant.call("DELETE", path)
    assert (gone.status_code, gone.json()["data"]) == (200, {"deleted": True})
    assert tenant.call("GET", path).status_code == 404


def test_the_status_of_a_tenants_kms_has_the_documented_members(tenant: TenantUser) -> None:
    none = tenant.call("GET", "/admin/tenant-kms")
    assert (none.status_code, none.json()["error"]["type"]) == (404, "no_kms_config")
    tenant.create("one", "value")
    customer = tenant.customer()
    tenant.onboard(customer)
    tenant.ended_lease()
    body = tenant.get("/admin/tenant-kms")
    assert set(body) == {"config", "keys"}
    config = body["config"]
    assert TIME.fullmatch(config["last_verified_at"])
    assert config == {
        "provider": "customer_kms_aws",
        "kms_key_ref": customer.key_arn,
        "config": {
            "region": customer.region,
            "role_arn": customer.role_arn,
            "external_id": customer.external_id,
        },
        "sealed_since": None,
        "last_verified_at": config["last_verified_at"],
        "last_verify_error": None,
    }
    newest, oldest = body["keys"]
    assert set(newest) == set(oldest) == {
        "id", "version", "wrap_method", "status", "created_at", "retired_at", "data_keys",
    }  # fmt: skip
    shown = [(k["version"], k["wrap_method"], k["status"], k["data_keys"]) for k in body["keys"]]
    assert shown == [(2, "customer_kms", "active", 1), (1, "global", "retired", 0)]
    assert newest["retired_at"] is None
    assert TIME.fullmatch(oldest["retired_at"])


def test_a_rotation_and_its_lease_have_the_documented_members(tenant: TenantUser) -> None:
    tenant.create("one", "value")
    tenant.onboard(tenant.customer())
    tenant.ended_lease()
    rotated = tenant.rotate()
    assert rotated == {
        "rotated": True,
        "new_version": 3,
        "rewrap_lease_id": rotated["rewrap_lease_id"],
    }
    lease = tenant.ended_lease(rotated["rewrap_lease_id"])
    for moment in ("created_at", "started_at", "finished_at"):
        assert TIME.fullmatch(lease.pop(moment)), moment
    assert lease == {
        "id": rotated["rewrap_lease_id"],
        "state": "completed",
        "reason": "rotate",
        "target_version": 3,
        "total": 1,
        "done": 1,
        "skipped": 0,
        "failed": 0,
        "rate_per_second": None,
        "eta_seconds": None,
        "throttle_per_second": None,
        "last_error": None,
    }
    page = tenant.get("/admin/tenant-kms/rewraps")
    assert set(page) == {"rewraps", "total", "page", "per_page", "total_pages"}
    assert [(one["reason"], one["state"]) for one in page["rewraps"]] == [
        ("rotate", "completed"),
        ("onboard", "completed"),
    ]
