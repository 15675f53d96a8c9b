"""What AccessSecret answers when there is nothing to give, and what it writes down when there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
