"""The gRPC doors as a person with a generic client finds them, and what AccessSecret answers."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.common.errors import CofferError

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

BUF = Path(sys.executable).with_name("buf")
NAMES = {
    "kms": "coffer.kms.v1.KmsService",
    "secrets": "coffer.secrets.v1.SecretsService",
    "rewrap": "coffer.rewrap.v1.RewrapService",
}


def buf_curl(
    stack: RunningStack, service: str, *arguments: str, rpc: str = ""
) -> subprocess.CompletedProcess[str]:
    """`buf curl` with the development consumer's certificate: it learns everything by reflection."""
    credentials = stack.stack.credentials
    return subprocess.run(
        [
            str(BUF), "curl", "--protocol", "grpc",
            "--cacert", credentials.ca_file,
            "--cert", credentials.client_cert_file,
            "--key", credentials.client_key_file,
            *arguments,
            f"https://{getattr(credentials.grpc, service)}{rpc}",
        ],
        capture_output=True, text=True, timeout=60, check=False,
        cwd=stack.stack.directory.root,
    )  # fmt: skip


@pytest.mark.parametrize("service", NAMES)
def test_reflection_lists_the_rpcs_of_every_service_over_tls(
    stack: RunningStack, service: str
) -> None:
    done = buf_curl(stack, service, "--list-methods")
    assert done.returncode == 0, done.stderr
    listed = done.stdout.split()
    assert "grpc.health.v1.Health/Check" in listed
    assert any(method.startswith(f"{NAMES[service]}/") for method in listed)


@pytest.mark.parametrize("service", NAMES)
def test_health_is_serving_for_the_process_and_for_its_service(
    stack: RunningStack, service: str
) -> None:
    for asked in ("", NAMES[service]):
        done = buf_curl(
            stack, service, "-d", json.dumps({"service": asked}), rpc="/grpc.health.v1.Health/Check"
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"status": "SERVING"}


def test_a_generic_client_reads_a_value_with_the_development_certificate(
    stack: RunningStack, tenant: TenantUser
) -> None:
    tenant.create("secret", "value")
    question = json.dumps({"tenant_id": tenant.id, "name": "secret"})
    rpc = "/coffer.secrets.v1.SecretsService/AccessSecret"
    done = buf_curl(stack, "secrets", "-d", question, rpc=rpc)
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert (reply["name"], reply["value"], reply["valueVersion"]) == ("secret", "value", "1")


def test_a_generic_client_administers_with_the_token_in_the_metadata(
    stack: RunningStack, tenant: TenantUser
) -> None:
    customer = tenant.customer()
    tenant.onboard(customer)
    rpc = "/coffer.kms.v1.KmsService/GetTenantKms"
    header = f"authorization: Bearer {tenant.admin_jwt}"
    done = buf_curl(stack, "kms", "-H", header, rpc=rpc)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["config"]["kmsKeyRef"] == customer.key_arn
    done = buf_curl(stack, "kms", rpc=rpc)
    assert done.returncode != 0
    assert "unauthenticated" in done.stderr


def test_an_error_is_a_google_rpc_status_with_error_info(
    stack: RunningStack, tenant: TenantUser
) -> None:
    stub = secrets_pb2_grpc.SecretsServiceStub(stack.channel("consumer/dev"))
    request = secrets_pb2.AccessSecretRequest(tenant_id=tenant.id, name="nothing")
    with pytest.raises(grpc.RpcError) as error:
        stub.AccessSecret(request, timeout=10)
    status = rpc_status.from_call(error.value)  # type: ignore[arg-type,unused-ignore]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert (info.reason, info.domain) == ("NOT_FOUND", "coffer.secrets")


QUESTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no such name": ({"name": "nothing"}, "not_found"),
    "no such id": ({"secret_id": "11111111-2222-4333-8444-555555555555"}, "not_found"),
    "an id that is none": ({"secret_id": "x"}, "validation_error"),
    "no such environment": ({"name": "secret", "environment": "staging"}, "not_found"),
    "no such version": ({"name": "secret", "value_version": 7}, "not_found"),
    "nothing asked for": ({}, "validation_error"),
}


@pytest.mark.parametrize("what", QUESTIONS)
def test_a_question_without_an_answer_has_its_documented_error(
    tenant: TenantUser, what: str
) -> None:
    tenant.create("secret", "value")
    question, code = QUESTIONS[what]
    with pytest.raises(CofferError) as refusal:
        tenant.access(**question)
    assert refusal.value.code == code


def test_a_deleted_secret_is_not_found(tenant: TenantUser) -> None:
    made = tenant.create("secret", "value")
    tenant.call("DELETE", f"/v1/secrets/{made['id']}")
    with pytest.raises(CofferError) as refusal:
        tenant.access(secret_id=made["id"])
    assert refusal.value.code == "not_found"


def test_expiry_is_enforced_only_where_it_was_asked_for(tenant: TenantUser) -> None:
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    tenant.create("lenient", "value", expires_at=past)
    tenant.create("strict", "value", expires_at=past, strict_expiry_enforcement=True)
    reply = tenant.access(name="lenient")
    assert reply.value == "value"
    assert [warning.code for warning in reply.warnings] == ["expired"]
    with pytest.raises(CofferError) as refusal:
        tenant.access(name="strict")
    assert refusal.value.code == "invalid_state"


def test_every_access_is_in_the_audit_chain_with_who_and_which(
    stack: RunningStack, tenant: TenantUser
) -> None:
    made = tenant.create("secret", "value")
    tenant.value("secret")
    events = stack.rows(
        "select actor, resource_id from audit.event where tenant_id = %s"
        " and action like 'secret.%%access%%'",
        (tenant.id,),
    )
    assert events == [("consumer:dev", made["id"])]
