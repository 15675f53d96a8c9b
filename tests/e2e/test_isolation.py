"""Who must get nothing: another tenant, another identity, another kind of credential."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from coffer.kms.v1 import kms_pb2
from coffer.rewrap.v1 import rewrap_pb2
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from gateway.routes import Route, routes_of
from services.common.errors import CofferError
from services.common.rpc.channel import OPTIONS

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

SERVICES = [
    kms_pb2.DESCRIPTOR.services_by_name["KmsService"],
    rewrap_pb2.DESCRIPTOR.services_by_name["RewrapService"],
    secrets_pb2.DESCRIPTOR.services_by_name["SecretsService"],
]
ROUTES = [route for service in SERVICES for route in routes_of(service)]
WITH_ID = [route for route in ROUTES if route.path_fields]
BODIES: dict[str, Any] = {"PUT /v1/secrets/{id}/value": {"value": "stolen"}}


def name_of(route: Route) -> str:
    return f"{route.method} {route.template}"


def ids_of(user: TenantUser) -> dict[str, str]:
    """Something real of a tenant for each kind of path."""
    made = user.create("secret", "value")
    user.onboard(user.customer())
    return {"/v1/secrets": made["id"], "/admin/tenant-kms/rewraps": str(user.latest_lease()["id"])}


def path_of(route: Route, ids: dict[str, str]) -> str:
    """The path with that tenant's id in it. A new kind of path has to be added to `ids_of`."""
    kind = route.template.partition("/{")[0]
    return route.template.replace("{id}", ids[kind])


@pytest.mark.parametrize("route", WITH_ID, ids=name_of)
def test_another_tenants_id_is_404_on_every_endpoint_that_takes_one(
    stack: RunningStack, tenant: TenantUser, route: Route
) -> None:
    victim = stack.tenant()
    ids = ids_of(victim)
    path, body = path_of(route, ids), BODIES.get(name_of(route))
    answer = tenant.call(route.method, path, json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    # Told exactly what is told about an id that nobody has.
    nobody = dict.fromkeys(ids, str(uuid.uuid4())) | {"/admin/tenant-kms/rewraps": str(2**62)}
    unknown = tenant.call(route.method, path_of(route, nobody), json=body)
    assert unknown.status_code == 404
    assert unknown.json()["error"]["message"] == answer.json()["error"]["message"]
    # Its owner still has it, unchanged.
    assert victim.value("secret") == "value"
    assert victim.call(route.method, path, json=body).status_code == 200


def test_lists_show_nothing_of_another_tenant(stack: RunningStack, tenant: TenantUser) -> None:
    ids_of(stack.tenant())
    assert tenant.get("/v1/secrets")["data"] == []
    assert tenant.get("/admin/tenant-kms/rewraps")["rewraps"] == []
    assert tenant.call("GET", "/admin/tenant-kms").json()["error"]["type"] == "no_kms_config"


def test_two_tenants_may_use_the_same_name(stack: RunningStack, tenant: TenantUser) -> None:
    other = stack.tenant()
    tenant.create("same", "one")
    other.create("same", "two")
    assert (tenant.value("same"), other.value("same")) == ("one", "two")


@pytest.mark.parametrize("who", ["rewrap", "gateway", "kms", "secrets"])
def test_a_services_certificate_opens_no_value(
    stack: RunningStack, tenant: TenantUser, who: str
) -> None:
    tenant.create("secret", "value")
    with pytest.raises(CofferError) as refusal:
        tenant.access(who, name="secret")
    assert refusal.value.code == "forbidden"
    # Nor does a tenant's own credential help it.
    stub = secrets_pb2_grpc.SecretsServiceStub(stack.channel(who))
    request = secrets_pb2.AccessSecretRequest(tenant_id=tenant.id, name="secret")
    for token in (tenant.api_key, tenant.admin_jwt):
        with pytest.raises(grpc.RpcError) as error:
            stub.AccessSecret(request, metadata=(("authorization", f"Bearer {token}"),), timeout=10)
        assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_consumer_without_a_grant_gets_nothing_and_learns_nothing(stack: RunningStack) -> None:
    user = stack.tenant(consumer="billing")
    user.create("secret", "value")
    assert user.access("consumer/billing", name="secret").value == "value"
    refusals = []
    for tenant_id, name in [(user.id, "secret"), (user.id, "none"), (str(uuid.uuid4()), "secret")]:
        with pytest.raises(CofferError) as refusal:
            stack.access(tenant_id, "consumer/dev", name=name)
        refusals.append((refusal.value.code, refusal.value.message, refusal.value.reason))
    assert len(set(refusals)) == 1
    assert refusals[0][0] == "forbidden"


def test_without_a_client_certificate_there_is_no_conversation(
    stack: RunningStack, tenant: TenantUser
) -> None:
    _, _, ca = stack.identity_files("consumer/dev")
    for service in ("kms", "secrets", "rewrap"):
        credentials = grpc.ssl_channel_credentials(ca.read_bytes())
        with grpc.secure_channel(stack.stack.address(service), credentials, OPTIONS) as channel:
            stub = secrets_pb2_grpc.SecretsServiceStub(channel)
            with pytest.raises(grpc.RpcError) as error:
                stub.AccessSecret(secrets_pb2.AccessSecretRequest(), timeout=10)
            assert error.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_every_endpoint_refuses_no_credential_and_the_other_kind_alike(
    stack: RunningStack, tenant: TenantUser, route: Route
) -> None:
    path = route.template.replace("{id}", str(uuid.uuid4()))
    wrong = tenant.admin_jwt if route.enveloped else tenant.api_key
    bodies = []
    for headers in (
        {},
        {"authorization": f"Bearer {wrong}"},
        {"authorization": "Bearer nonsense"},
        {"authorization": f"Basic {tenant.credential(path)}"},
        {"x-api-key": "tk_live_" + "0" * 46},
    ):
        answer = stack.http.request(route.method, path, headers=headers)
        assert answer.status_code == 401, headers
        bodies.append({k: v for k, v in answer.json()["error"].items() if k != "request_id"})
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["type"] == "unauthenticated"


def test_a_token_of_an_unknown_or_suspended_tenant_is_401(
    stack: RunningStack, tenant: TenantUser
) -> None:
    tenant.create("secret", "value")
    unknown = stack.issuer.admin(str(uuid.uuid4()))
    headers = {"authorization": f"Bearer {unknown}"}
    assert stack.http.get("/admin/tenant-kms", headers=headers).status_code == 401
    assert stack.http.get("/admin/tenant-kms/rewraps", headers=headers).status_code == 401
    stack.execute(
        "update tenancy.tenant set status = 'suspended' where tenant_id = %(id)s", id=tenant.id
    )
    for path in ("/v1/secrets", "/admin/tenant-kms", "/admin/tenant-kms/rewraps"):
        assert tenant.call("GET", path).status_code == 401, path
    with pytest.raises(CofferError) as refusal:
        tenant.access(name="secret")
    assert refusal.value.code == "forbidden"


def test_a_step_up_token_works_once_and_only_for_its_own_tenant(
    stack: RunningStack, tenant: TenantUser
) -> None:
    other = stack.tenant()
    for user in (tenant, other):
        user.onboard(user.customer())
    header = tenant.step_up()
    path = "/admin/tenant-kms/rotate"
    outcomes = [
        (answer.status_code, answer.json().get("error", {}).get("reason"))
        for answer in (
            tenant.call("POST", path),
            other.call("POST", path, headers=header),
            tenant.call("POST", path, headers=header),
            tenant.call("POST", path, headers=header),
        )
    ]
    assert outcomes == [(403, "missing"), (403, "invalid"), (200, None), (403, "used")]
