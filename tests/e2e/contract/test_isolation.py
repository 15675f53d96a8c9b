"""What breaks when a credential reaches further than it should: another tenant, another door, another rpc."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cli.local.pki import DevelopmentPki
from services.common.errors import CofferError
from services.common.rpc.channel import OPTIONS
from tests.e2e.contract import wire
from tests.e2e.contract.endpoints import CLOSED, ENDPOINTS, Endpoint, policy_of, rpcs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from google.protobuf.descriptor import MethodDescriptor

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

RPCS = list(rpcs())
EVERY_CLOSED = pytest.mark.parametrize("endpoint", CLOSED, ids=str)
EVERY_RPC = pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
INNER = [rpc for rpc in RPCS if policy_of(rpc).WhichOneof("caller") in ("service", "consumer")]
WITH_ID = [endpoint for endpoint in ENDPOINTS if endpoint.places]
PROCESSES = ("kms", "secrets", "rewrap", "gateway", "operator")
CONSUMERS = ("consumer/dev", "consumer/other")
SECONDS = 20.0


def retired(owner: TenantUser) -> str:
    """A version that may be erased, with a number that a tenant which never rotated has not."""
    version = owner.rotate()["new_version"] - 1
    owner.ended_lease()
    assert version > 1
    return str(version)


def erased(owner: TenantUser) -> str:
    """A version that has a receipt."""
    version = retired(owner)
    path, body = f"/admin/tenant-kms/keys/{version}/revoke", {"confirm": owner.slug}
    answer = owner.call("POST", path, json=body, headers=owner.step_up())
    assert answer.status_code == 200, answer.text
    return version


def stored(owner: TenantUser) -> dict[str, str]:
    """A secret, with a first version."""
    made = owner.create(f"s-{uuid.uuid4().hex}", "the owner's")
    return {"id": str(made["id"]), "value_version": "1"}


def deleted(owner: TenantUser) -> dict[str, str]:
    """A secret that can be restored."""
    made = stored(owner)
    assert owner.call("DELETE", f"/v1/secrets/{made['id']}").status_code == 200
    return made


def elsewhere(owner: TenantUser) -> dict[str, str]:
    """A secret with a value in an environment beside its base."""
    name = f"e-{uuid.uuid4().hex}"
    made = stored(owner)
    for method, path, body in (
        ("POST", "/v1/environments", {"name": name}),
        ("PUT", f"/v1/secrets/{made['id']}/value", {"value": "x", "environment": name}),
    ):
        answer = owner.call(method, path, json=body)
        assert answer.status_code < 300, answer.text
    return made | {"environment_name": name}


def made_by(path: str, member: str = "id") -> Callable[[TenantUser], dict[str, str]]:
    """Something that a POST of a new name to the path makes."""

    def make(owner: TenantUser) -> dict[str, str]:
        answer = owner.call("POST", path, json={"name": f"n-{uuid.uuid4().hex}"})
        assert answer.status_code == 201, answer.text
        return {member: str(answer.json()["data"][member])}

    return make


def rewrap_in(state: str) -> Callable[[TenantUser], dict[str, str]]:
    """The latest rewrap, with nothing left to move, put into a state in which nobody works on it."""

    def put(owner: TenantUser) -> dict[str, str]:
        found = str(owner.latest_lease()["id"])
        owner.stack.execute(
            "update rewrap.lease set state = %(state)s, next_attempt_at = now() + interval '30 seconds',"
            " finished_at = case %(state)s when 'completed' then now() end"
            " where tenant_id = %(tenant)s and id = %(id)s",
            state=state, tenant=owner.id, id=found,
        )  # fmt: skip
        return {"id": found}

    return put


OWNED: dict[str, Callable[[TenantUser], dict[str, str]]] = {
    "/v1/secrets/": stored,
    "/v1/secrets/{id}/restore": deleted,
    "/v1/secrets/{id}/environments/{environment_name}": elsewhere,
    "/v1/environments/": made_by("/v1/environments"),
    "/v1/collections/": made_by("/v1/collections"),
    "/v1/api-keys/": made_by("/v1/api-keys", "key_id"),
    "/admin/tenant-kms/rewraps/": rewrap_in("paused"),
    "/admin/tenant-kms/rewraps/{id}/pause": rewrap_in("waiting"),
    "/admin/tenant-kms/rewraps/{id}/report": rewrap_in("completed"),
    "/admin/tenant-kms/keys/{version}/revoke": lambda owner: {"version": retired(owner)},
    "/admin/tenant-kms/keys/{version}/receipt": lambda owner: {"version": erased(owner)},
}
"""Something of a tenant's own, by template or by what stands before its place. A new one belongs here."""


@dataclass(frozen=True, slots=True)
class Two:
    """Two tenants of one stack; the owner has connected a key, the stranger too."""

    owner: TenantUser
    stranger: TenantUser


@pytest.fixture(scope="module")
def two(stack: RunningStack) -> Two:
    """Both, at rest."""
    made = Two(stack.tenant(), stack.tenant())
    made.owner.create("shared-name", "the owner's")
    for user in (made.owner, made.stranger):
        user.onboard(user.customer())
        user.ended_lease()
    return made


def owned(endpoint: Endpoint, owner: TenantUser) -> str:
    """The endpoint's path to something of the owner's."""
    make = OWNED.get(endpoint.template) or OWNED.get(endpoint.template.partition("{")[0])
    assert make is not None, f"say in OWNED what {endpoint.template} is about"
    return endpoint.path(make(owner))


def call(endpoint: Endpoint, user: TenantUser, path: str) -> httpx.Response:
    headers = user.step_up() if endpoint.step_up else {}
    return user.call(endpoint.method, path, headers=headers, **endpoint.body(user))


def of(tenant: TenantUser) -> dict[str, list[str]]:
    """Every stored row that names the tenant, but for what is written seconds after the calls that it
    tells of: how many there were, and when a key was used last.
    """
    found = tenant.stack.settled()
    return {name: [row for row in rows if tenant.id in row] for name, rows in found.items()}


@pytest.mark.parametrize("endpoint", WITH_ID, ids=str)
def test_another_tenants_id_is_not_found(two: Two, endpoint: Endpoint) -> None:
    path = owned(endpoint, two.owner)
    before = of(two.owner)

    foreign = call(endpoint, two.stranger, path)

    error = wire.error_of(foreign, 404, "not_found")
    # Nothing tells it from an id that nobody has.
    nobodys = wire.error_of(call(endpoint, two.stranger, endpoint.path()), 404, "not_found")
    assert error | {"request_id": ""} == nobodys | {"request_id": ""}
    assert of(two.owner) == before
    # And the owner may: it was the tenant that was refused, not the request.
    assert call(endpoint, two.owner, path).status_code < 400


def test_another_tenants_secrets_are_in_no_list(two: Two) -> None:
    two.stranger.create("the-strangers", "x")
    for query in ({}, {"search": "shared-name"}, {"environment": "production"}):
        names = {row["name"] for row in two.stranger.get("/v1/secrets", **query)["data"]}
        assert names <= {"the-strangers"}
    mine = {lease["id"] for lease in two.stranger.get("/admin/tenant-kms/rewraps")["rewraps"]}
    theirs = {lease["id"] for lease in two.owner.get("/admin/tenant-kms/rewraps")["rewraps"]}
    assert mine
    assert not mine & theirs


def test_a_name_may_be_anothers_too(two: Two) -> None:
    made = two.stranger.create("shared-name", "the stranger's")
    assert two.owner.value("shared-name") == "the owner's"
    assert two.stranger.value("shared-name") == "the stranger's"
    assert two.stranger.call("DELETE", f"/v1/secrets/{made['id']}").status_code == 200
    assert two.owner.value("shared-name") == "the owner's"


def test_another_tenants_step_up_is_none(two: Two) -> None:
    stolen = two.owner.step_up()
    answer = two.stranger.call("POST", "/admin/tenant-kms/rotate", headers=stolen)
    assert wire.error_of(answer, 403, "step_up_required")["reason"] == "invalid"
    # It was not used up by that.
    answer = two.owner.call("POST", "/admin/tenant-kms/rotate", headers=stolen)
    assert answer.status_code == 200, answer.text
    two.owner.ended_lease()


def test_another_tenants_external_id_cannot_be_used(two: Two) -> None:
    theirs = two.owner.customer()
    answer = two.stranger.call("POST", "/admin/tenant-kms", json=two.stranger.onboarding(theirs))
    error = wire.error_of(answer, 400, "validation_error")
    assert list(error["fields"]) == ["config.external_id"]
    # Nor by leaving it out: then the stranger's own is sent, which the owner's role does not trust.
    body = two.stranger.onboarding(theirs)
    del body["config"]["external_id"]
    answer = two.stranger.call("POST", "/admin/tenant-kms", json=body)
    assert wire.error_of(answer, 400, "kms_verify_failed")["reason"] == "access_denied"


@EVERY_CLOSED
def test_the_other_doors_credential_is_none(two: Two, endpoint: Endpoint) -> None:
    user = two.owner
    wrong = user.api_key if endpoint.admin else user.admin_jwt
    right = user.admin_jwt if endpoint.admin else user.api_key
    tried = [
        {"authorization": f"Bearer {wrong}"},
        {"x-api-key": wrong},
        # Two that disagree are none.
        {"authorization": f"Bearer {right}", "x-api-key": two.stranger.api_key},
    ]
    if endpoint.admin:
        tried.append({"authorization": f"Bearer {user.step_up()['x-knoxcall-stepup']}x"})
    for headers in tried:
        answer = user.stack.http.request(endpoint.method, endpoint.path(), headers=headers)
        wire.error_of(answer, 401, "unauthenticated")


def refused(act: Callable[[], Any], code: str) -> str:
    """What the refusal with this code says."""
    with pytest.raises(CofferError) as caught:
        act()
    assert caught.value.code == code, caught.value.message
    return caught.value.message


def ask(
    stack: RunningStack, rpc: MethodDescriptor, who: str, metadata: dict[str, str] | None = None
) -> grpc.StatusCode:
    """What an empty call of the rpc as this certificate's holder is answered with."""
    service = rpc.containing_service.full_name
    channel = stack.channel(who, service.split(".")[1])
    method: Any = channel.unary_unary(f"/{service}/{rpc.name}")
    try:
        method(b"", timeout=SECONDS, metadata=tuple((metadata or {}).items()))
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


@EVERY_RPC
def test_an_rpc_is_for_its_callers_only(two: Two, rpc: MethodDescriptor) -> None:
    policy = policy_of(rpc)
    kind = policy.WhichOneof("caller")
    for who in (*PROCESSES, *CONSUMERS):
        answered = ask(two.owner.stack, rpc, who)
        if kind == "open":
            assert answered is grpc.StatusCode.OK, who
        elif kind in ("admin", "api_key"):
            # A certificate alone is nobody's credential.
            assert answered is grpc.StatusCode.UNAUTHENTICATED, who
        elif who in policy.service.names or (kind == "consumer" and who in CONSUMERS):
            assert answered is grpc.StatusCode.INVALID_ARGUMENT, who
        else:
            assert answered is grpc.StatusCode.PERMISSION_DENIED, who


@pytest.mark.parametrize("rpc", INNER, ids=lambda rpc: rpc.name)
def test_a_tenants_credentials_open_no_inner_rpc(two: Two, rpc: MethodDescriptor) -> None:
    for token in (two.owner.api_key, two.owner.admin_jwt):
        bearer = {"authorization": f"Bearer {token}"}
        assert ask(two.owner.stack, rpc, "gateway", bearer) is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("who", PROCESSES)
def test_no_process_of_ours_may_fetch_a_value(two: Two, who: str) -> None:
    refused(lambda: two.owner.access(who, name="shared-name"), "forbidden")


def test_a_consumer_without_a_grant_gets_nothing(stack: RunningStack, two: Two) -> None:
    closed = stack.tenant(consumer=None)
    made = closed.create("kept", "for nobody")
    nobody = str(uuid.uuid4())
    # Whether the secret or even the tenant exists is not told.
    told = {
        refused(lambda: two.owner.access("consumer/other", name="shared-name"), "forbidden"),
        refused(lambda: closed.access(name="kept"), "forbidden"),
        refused(lambda: closed.access(name="nothing"), "forbidden"),
        refused(lambda: closed.access(secret_id=made["id"]), "forbidden"),
        refused(lambda: stack.access(nobody, name="kept"), "forbidden"),
    }
    assert len(told) == 1
    query = "select count(*) from audit.event where tenant_id = %s and action like '%%access%%'"
    assert stack.rows(query, [closed.id]) == [(0,)]


def test_a_consumers_grant_does_not_reach_another_tenant(stack: RunningStack, two: Two) -> None:
    closed = stack.tenant(consumer=None)
    made = closed.create("kept", "for nobody")
    # Granted on the owner's tenant, asking there for an id of another's, and for nobody's.
    foreign = refused(lambda: two.owner.access(secret_id=made["id"]), "not_found")
    assert foreign == refused(lambda: two.owner.access(secret_id=str(uuid.uuid4())), "not_found")


def test_a_caller_without_our_certificate_is_not_let_in(
    stack: RunningStack, two: Two, tmp_path: Path
) -> None:
    foreign = DevelopmentPki(tmp_path)
    foreign.identity("secrets", "secrets")
    ca = stack.identity_files("secrets")[2].read_bytes()
    mine = [tmp_path / "secrets.key", tmp_path / "secrets.crt"]
    key, certificate = (file.read_bytes() for file in mine)
    rpc = next(rpc for rpc in RPCS if rpc.name == "UnwrapDataKeys")
    for credentials in (
        grpc.ssl_channel_credentials(ca),
        grpc.ssl_channel_credentials(ca, key, certificate),
    ):
        target = stack.stack.address("kms")
        with grpc.secure_channel(target, credentials, options=OPTIONS) as channel:
            method: Any = channel.unary_unary(f"/{rpc.containing_service.full_name}/{rpc.name}")
            with pytest.raises(grpc.RpcError) as refused:
                method(b"", timeout=SECONDS)
            assert refused.value.code() in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.UNAUTHENTICATED,
            )


def test_a_suspended_tenant_is_nobody(tenant: TenantUser) -> None:
    made = tenant.create("kept", "x")
    stack = tenant.stack
    update = "update tenancy.tenant set status = 'suspended' where tenant_id = %(tenant)s"
    stack.execute(update, tenant=tenant.id)
    for path in ("/v1/secrets", f"/v1/secrets/{made['id']}", "/admin/tenant-kms"):
        wire.error_of(tenant.call("GET", path), 401, "unauthenticated")
    refused(lambda: tenant.value("kept"), "forbidden")
