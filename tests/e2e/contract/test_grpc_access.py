"""What breaks when a generic gRPC client with the development certificate cannot use the services.

The client is `buf curl`, which knows nothing of Coffer: all it sends it learns by reflection, over TLS.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.e2e.contract import wire
from tests.e2e.contract.certificates import FRESH, self_signed
from tests.e2e.contract.endpoints import rpcs

if TYPE_CHECKING:
    from cli.local.credentials import Credentials
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

BUF = Path(sys.executable).parent / "buf"
SECONDS = 60
SERVICES = {
    "kms": "coffer.kms.v1.KmsService",
    "secrets": "coffer.secrets.v1.SecretsService",
    "rewrap": "coffer.rewrap.v1.RewrapService",
}
EVERY_SERVICE = pytest.mark.parametrize("service", SERVICES)
ACCESS = f"{SERVICES['secrets']}/AccessSecret"


@dataclass(frozen=True, slots=True)
class Curl:
    """`buf curl` with the development client certificate."""

    known: Credentials
    home: Path

    def __call__(
        self, service: str, *arguments: str, path: str = "", certificate: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run it against a service; without a path, against all of it."""
        target = getattr(self.known.grpc, service)
        url = f"https://{target}/{path}".rstrip("/")
        tls = ["--cacert", self.known.ca_file]
        if certificate:
            tls += ["--cert", self.known.client_cert_file, "--key", self.known.client_key_file]
        return subprocess.run(
            [str(BUF), "curl", "--protocol", "grpc", *tls, *arguments, url],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            # Its cache belongs nowhere else, and a proxy has no business here.
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            check=False,
        )


@pytest.fixture
def curl(stack: RunningStack, tmp_path: Path) -> Curl:
    """Against the stack of this test process."""
    return Curl(stack.stack.credentials, tmp_path)


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """What a call that succeeded was answered with."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refused call said in its details."""

    reason: str
    domain: str
    details: frozenset[str]


def refusal(done: subprocess.CompletedProcess[str], code: grpc.StatusCode) -> Refusal:
    """The details of a call that was refused with this code."""
    number: int = code.value[0]
    assert done.returncode == number << 3, (done.returncode, done.stderr)
    details = {one["type"]: one["value"] for one in json.loads(done.stderr)["details"]}
    padded = details["google.rpc.ErrorInfo"] + "=="
    info = error_details_pb2.ErrorInfo.FromString(base64.b64decode(padded))
    return Refusal(info.reason, info.domain, frozenset(details))


@EVERY_SERVICE
def test_reflection_names_every_rpc_health_and_itself(curl: Curl, service: str) -> None:
    listed = curl(service, "--list-methods")
    assert listed.returncode == 0, listed.stderr
    names = set(listed.stdout.split())
    ours = {
        f"{rpc.containing_service.full_name}/{rpc.name}"
        for rpc in rpcs()
        if rpc.containing_service.full_name == SERVICES[service]
    }
    assert ours
    assert {name for name in names if name.startswith("coffer.")} == ours
    assert "grpc.health.v1.Health/Check" in names
    assert any(name.startswith("grpc.reflection.v1") for name in names)


@EVERY_SERVICE
def test_health_is_told_for_the_process_and_for_the_service(curl: Curl, service: str) -> None:
    for asked in ("", SERVICES[service]):
        done = curl(
            service, "-d", json.dumps({"service": asked}), path="grpc.health.v1.Health/Check"
        )
        assert answer(done) == {"status": "SERVING"}


@EVERY_SERVICE
def test_who_has_no_certificate_learns_nothing(curl: Curl, service: str) -> None:
    done = curl(service, "--list-methods", certificate=False)
    assert done.returncode != 0
    assert "coffer." not in done.stdout


def test_a_string_is_fetched_by_name_and_by_id(curl: Curl, tenant: TenantUser) -> None:
    made = tenant.create("DB_PASSWORD", "s3cr3t ✓", expires_at="2099-03-15T12:00:00Z")
    expected = {
        "secretId": made["id"],
        "name": "DB_PASSWORD",
        "secretType": "string",
        "environment": "production",
        "valueVersion": "1",
        "value": "s3cr3t ✓",
        "expiresAt": "2099-03-15T12:00:00Z",
    }
    for which in ({"name": "DB_PASSWORD"}, {"secret_id": made["id"]}):
        question = json.dumps({"tenant_id": tenant.id, **which})
        assert answer(curl("secrets", "-d", question, path=ACCESS)) == expected


def test_a_certificate_is_fetched_with_its_key_as_it_was_sent(
    curl: Curl, tenant: TenantUser
) -> None:
    made = self_signed(FRESH)
    body = {"name": "TLS", "certificate_content": made.pem, "private_key": made.private_key}
    stored = tenant.call("POST", "/v1/secrets/certificate", json=body)
    assert stored.status_code == 201, stored.text
    question = json.dumps({"tenant_id": tenant.id, "name": "TLS"})
    found = answer(curl("secrets", "-d", question, path=ACCESS))
    assert found["certificate"] == {
        "content": made.pem,
        "privateKey": made.private_key,
        "certificateType": "pem",
        "normalForm": {"certificate": made.pem, "privateKey": made.private_key},
    }
    assert found["secretType"] == "certificate"
    assert "value" not in found


def test_what_is_not_there_is_told_with_the_contracts_code(curl: Curl, tenant: TenantUser) -> None:
    question = json.dumps({"tenant_id": tenant.id, "name": "nothing"})
    missing = curl("secrets", "-d", question, path=ACCESS)
    said = refusal(missing, grpc.StatusCode.NOT_FOUND)
    assert (said.reason, said.domain) == ("NOT_FOUND", "coffer.secrets")
    said = refusal(curl("secrets", "-d", "{}", path=ACCESS), grpc.StatusCode.INVALID_ARGUMENT)
    assert said.reason == "VALIDATION_ERROR"
    assert "google.rpc.BadRequest" in said.details


def test_the_use_cases_are_there_for_who_brings_the_credential(
    curl: Curl, tenant: TenantUser
) -> None:
    customer = tenant.customer()
    admin = ("-H", f"authorization: Bearer {tenant.admin_jwt}")
    put = f"{SERVICES['kms']}/PutTenantKms"
    body = json.dumps({"body": tenant.onboarding(customer)})
    onboarded = answer(curl("kms", *admin, "-d", body, path=put))
    assert (onboarded["ok"], onboarded["newKeyVersion"]) == (True, "1")
    assert onboarded["rewrapStatus"] == "enqueued"

    shown = answer(curl("kms", *admin, path=f"{SERVICES['kms']}/GetTenantKms"))
    assert shown["config"]["kmsKeyRef"] == customer.key_arn
    leases = answer(curl("rewrap", *admin, path=f"{SERVICES['rewrap']}/ListRewraps"))
    assert [lease["reason"] for lease in leases["rewraps"]] == ["onboard"]

    rotate = f"{SERVICES['kms']}/RotateMasterKey"
    refused = refusal(curl("kms", *admin, path=rotate), grpc.StatusCode.PERMISSION_DENIED)
    assert refused.reason == "STEP_UP_REQUIRED"
    fresh = ("-H", f"x-knoxcall-stepup: {tenant.step_up()['x-knoxcall-stepup']}")
    rotated = answer(curl("kms", *admin, *fresh, path=rotate))
    assert (rotated["rotated"], rotated["newVersion"]) == (True, "2")

    key = ("-H", f"authorization: Bearer {tenant.api_key}")
    created = answer(
        curl(
            "secrets",
            *key,
            "-d",
            json.dumps({"name": "over gRPC", "value": "x"}),
            path=f"{SERVICES['secrets']}/CreateSecret",
        )
    )
    assert wire.UUID.fullmatch(created["secret"]["id"])
    assert tenant.value("over_gRPC") == "x"


def test_a_certificate_alone_is_no_tenants_credential(curl: Curl) -> None:
    for service, rpc in (("kms", "GetTenantKms"), ("secrets", "ListSecrets")):
        done = curl(service, path=f"{SERVICES[service]}/{rpc}")
        said = refusal(done, grpc.StatusCode.UNAUTHENTICATED)
        assert (said.reason, said.domain) == ("UNAUTHENTICATED", f"coffer.{service}")
