"""Who is let in, and what they are told: the frame under every rpc, over real gRPC with real TLS."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import jwt
import pytest
import structlog
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import status_pb2

from services.common.authentication import Authenticator, consume_step_up
from services.common.database import Database
from services.common.errors import (
    CofferError,
    NotFoundError,
    StepUpRequiredError,
    TenantSealedError,
    ValidationError,
)
from services.common.identity import Call, current_call
from services.common.rpc.channel import open_channel
from services.common.rpc.policy import policies
from services.common.rpc.server import RpcServer, Served, ServerSettings
from services.common.rpc.status import from_rpc_error, parse_status, to_status
from services.common.settings import Address
from services.common.tokens import TokenVerifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from uuid import UUID

    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

SERVICE = kms_pb2.DESCRIPTOR.services_by_name["KmsService"]
GENERATE = "/coffer.kms.v1.KmsService/GenerateDataKeys"
CANARY = "canary-7f3a-never-to-be-seen"


class Servicer:
    """Does what the test says, and remembers who called."""

    def __init__(self, database: Database) -> None:
        self.calls: list[Call] = []
        self.behave: Callable[[], None] = lambda: None
        self._database = database

    async def GetTenantKms(self, request: Any, context: Any) -> kms_pb2.GetTenantKmsResponse:
        self.calls.append(current_call())
        self.behave()
        return kms_pb2.GetTenantKmsResponse()

    async def PutTenantKms(self, request: Any, context: Any) -> kms_pb2.PutTenantKmsResponse:
        self.calls.append(current_call())
        self.behave()
        return kms_pb2.PutTenantKmsResponse()

    async def RotateMasterKey(self, request: Any, context: Any) -> kms_pb2.RotateMasterKeyResponse:
        call = current_call()
        self.calls.append(call)
        await consume_step_up(self._database, call.tenant, call.step_up)
        self.behave()
        return kms_pb2.RotateMasterKeyResponse(rotated=True)

    async def GetSigningKeys(self, request: Any, context: Any) -> kms_pb2.GetSigningKeysResponse:
        self.calls.append(current_call())
        return kms_pb2.GetSigningKeysResponse()

    async def GenerateDataKeys(
        self, request: Any, context: Any
    ) -> kms_pb2.GenerateDataKeysResponse:
        self.calls.append(current_call())
        return kms_pb2.GenerateDataKeysResponse()


def _add(servicer: Servicer, server: grpc.aio.Server) -> None:
    """Add just the rpcs that the servicer has: the frame must not need the others."""
    handlers = {
        method.name: grpc.unary_unary_rpc_method_handler(
            getattr(servicer, method.name),
            request_deserializer=getattr(kms_pb2, f"{method.name}Request").FromString,
            response_serializer=getattr(kms_pb2, f"{method.name}Response").SerializeToString,
        )
        for method in SERVICE.methods
        if hasattr(servicer, method.name)
    }
    server.add_registered_method_handlers(SERVICE.full_name, handlers)


class Frame:
    """A running server, and calls to it as somebody."""

    def __init__(self, port: int, pki: TestPki, servicer: Servicer) -> None:
        self.port = port
        self.servicer = servicer
        self._pki = pki

    async def call(
        self, rpc: str = "GetTenantKms", *, peer: str = "gateway", **metadata: str | bytes
    ) -> Any:
        """Call an rpc with an empty request; its error comes as a CofferError."""
        pairs = [(name.replace("_", "-"), value) for name, value in metadata.items()]
        async with open_channel(f"127.0.0.1:{self.port}", self._pki.tls(peer)) as channel:
            stub = kms_pb2_grpc.KmsServiceStub(channel)
            request = getattr(kms_pb2, f"{rpc}Request")()
            try:
                return await getattr(stub, rpc)(request, metadata=pairs, timeout=10)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from None

    async def refused(self, rpc: str = "GetTenantKms", **arguments: Any) -> CofferError:
        with pytest.raises(CofferError) as refusal:
            await self.call(rpc, **arguments)
        return refusal.value


@asynccontextmanager
async def serving(
    database: TestDatabase, pki: TestPki, descriptor: Any = SERVICE
) -> AsyncIterator[Frame]:
    pool = Database(database.dsn("coffer_kms"), name="test")
    await pool.open()
    servicer = Servicer(pool)
    settings = ServerSettings(
        Address("127.0.0.1", 0), Address("127.0.0.1", 0), None, pki.tls("kms"), "info"
    )
    ready = asyncio.Event()

    async def is_ready() -> bool:
        ready.set()
        return True

    server = RpcServer(
        "kms",
        settings,
        Served(descriptor, lambda made: _add(servicer, made)),
        authentication=Authenticator(pool, TokenVerifier(pki.issuer.settings)),
        ready=is_ready,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(server.serve(stop))
    await ready.wait()
    try:
        yield Frame(server.port, pki, servicer)
    finally:
        stop.set()
        await task
        await pool.close()


@pytest.fixture
async def frame(database: TestDatabase, pki: TestPki) -> AsyncIterator[Frame]:
    async with serving(database, pki) as made:
        yield made


@pytest.fixture
def tenant(database: TestDatabase) -> UUID:
    return database.create_tenant("acme")


def bearer(token: str) -> str:
    return f"Bearer {token}"


async def test_an_owner_is_let_in_and_known(frame: Frame, pki: TestPki, tenant: UUID) -> None:
    request_id = str(uuid.uuid4())
    await frame.call(
        authorization=bearer(pki.issuer.admin_token(tenant)),
        x_request_id=request_id,
        coffer_client_ip="192.0.2.7",
    )
    (call,) = frame.servicer.calls
    assert (call.actor, call.tenant_id) == ("admin:alice", tenant)
    assert (call.request_id, call.ip_address) == (request_id, "192.0.2.7")


async def test_a_consumer_cannot_forge_the_address_that_the_audit_shows(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    token = bearer(pki.issuer.admin_token(tenant))
    await frame.call(peer="consumer/dev", authorization=token, coffer_client_ip="192.0.2.7")
    assert frame.servicer.calls[0].ip_address == "127.0.0.1"  # that of its connection


async def test_the_log_says_of_which_tenant_and_from_where_a_call_came_and_nothing_of_its_credential(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    token = pki.issuer.admin_token(tenant)
    with structlog.testing.capture_logs() as lines:
        await frame.call(authorization=bearer(token), coffer_client_ip="192.0.2.7")
        await frame.refused(authorization=bearer(f"{token}x"), coffer_client_ip="192.0.2.8")
    told = [line for line in lines if line["event"] == "call"]
    assert [(line["code"], line["tenant_id"], line["address"]) for line in told] == [
        ("ok", str(tenant), "192.0.2.7"),
        ("unauthenticated", None, "192.0.2.8"),
    ]
    assert token[:20] not in str(lines)


async def test_nobody_has_the_address_of_a_service_of_ours(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    """What it forwards is its caller's; when it forwards none there was none."""
    await frame.call(authorization=bearer(pki.issuer.admin_token(tenant)))
    assert frame.servicer.calls[0].ip_address is None


@pytest.mark.parametrize("peer", ["gateway", "consumer/dev", "nobody"])
async def test_what_is_open_needs_no_credential_and_lends_nobody_s_identity(
    frame: Frame, pki: TestPki, tenant: UUID, peer: str
) -> None:
    good, bad = bearer(pki.issuer.admin_token(tenant)), bearer("abc")
    await frame.call("GetSigningKeys", peer=peer)
    for token in (good, bad):
        # Not looked at, so that it neither helps nor hurts.
        await frame.call("GetSigningKeys", peer=peer, authorization=token, x_api_key="tk_live_x")
    assert {call.actor for call in frame.servicer.calls} == {"anybody"}
    assert {call.tenant_id for call in frame.servicer.calls} == {None}
    assert len(frame.servicer.calls) == 3


async def test_what_the_gateway_found_wrong_is_told_by_an_open_rpc_too(frame: Frame) -> None:
    refusal = to_status(ValidationError.of("x", "unknown field"), "coffer.gateway")
    error = await frame.refused("GetSigningKeys", coffer_refusal_bin=refusal.SerializeToString())
    assert (error.code, frame.servicer.calls) == ("validation_error", [])


def _forged(token: str) -> str:
    """The same claims, signed with nothing."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


def _symmetric(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    return jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"kid": header["kid"]})


BAD_TOKENS: dict[str, Callable[[TestPki, UUID], str]] = {
    "no token": lambda _pki, _tenant: "",
    "not a token": lambda _pki, _tenant: "abc",
    "an API key": lambda _pki, _tenant: "tk_live_" + "a" * 46,
    "expired": lambda pki, tenant: pki.issuer.admin_token(tenant, exp=int(time.time()) - 60),
    "not yet valid": lambda pki, tenant: pki.issuer.admin_token(tenant, nbf=int(time.time()) + 99),
    "another audience": lambda pki, tenant: pki.issuer.admin_token(tenant, aud="elsewhere"),
    "another issuer": lambda pki, tenant: pki.issuer.admin_token(tenant, iss="https://evil.test"),
    "no role": lambda pki, tenant: pki.issuer.admin_token(tenant, role="root"),
    "no tenant": lambda pki, tenant: pki.issuer.admin_token(tenant, tenant_id="acme"),
    "unknown tenant": lambda pki, _tenant: pki.issuer.admin_token(uuid.uuid4()),
    "a step-up token": lambda pki, tenant: pki.issuer.step_up_token(tenant, role="owner"),
    "unsigned": lambda pki, tenant: _forged(pki.issuer.admin_token(tenant)),
    "symmetric": lambda pki, tenant: _symmetric(pki.issuer.admin_token(tenant)),
}


@pytest.mark.parametrize("defect", BAD_TOKENS)
async def test_every_bad_admin_token_gets_the_same_401(
    frame: Frame, pki: TestPki, tenant: UUID, defect: str
) -> None:
    error = await frame.refused(authorization=bearer(BAD_TOKENS[defect](pki, tenant)))
    assert (error.code, error.http_status) == ("unauthenticated", 401)
    assert "missing or not valid" in error.message
    assert frame.servicer.calls == []


async def test_a_suspended_tenants_token_is_401(
    frame: Frame, pki: TestPki, tenant: UUID, database: TestDatabase
) -> None:
    database.execute("update tenancy.tenant set status = 'suspended'")
    error = await frame.refused(authorization=bearer(pki.issuer.admin_token(tenant)))
    assert error.code == "unauthenticated"


async def test_a_viewer_may_not_touch_keys(frame: Frame, pki: TestPki, tenant: UUID) -> None:
    token = pki.issuer.admin_token(tenant, role="viewer")
    assert (await frame.refused(authorization=bearer(token))).code == "forbidden"


async def test_an_rpc_of_services_is_closed_to_admins_consumers_and_other_services(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    token = bearer(pki.issuer.admin_token(tenant))
    for peer in ("gateway", "rewrap", "kms", "consumer/dev"):
        error = await frame.refused("GenerateDataKeys", peer=peer, authorization=token)
        assert error.code == "forbidden", peer
    await frame.call("GenerateDataKeys", peer="secrets")
    assert frame.servicer.calls[-1].actor == "service:secrets"


async def test_a_certificate_that_names_nobody_of_ours_is_401(frame: Frame) -> None:
    error = await frame.refused("GenerateDataKeys", peer="intruder")
    assert error.code == "unauthenticated"


async def test_an_rpc_without_a_policy_is_refused_to_everybody(
    database: TestDatabase, pki: TestPki, tenant: UUID
) -> None:
    async with serving(database, pki, _without_policies()) as frame:
        error = await frame.refused(authorization=bearer(pki.issuer.admin_token(tenant)))
        assert error.code == "forbidden"
        assert (await frame.refused("GenerateDataKeys", peer="secrets")).code == "forbidden"
        assert frame.servicer.calls == []


def _without_policies() -> Any:
    """The service's descriptor as it would be had somebody forgotten every policy."""
    pool, added = DescriptorPool(), set[str]()

    def add(file: Any) -> None:
        if file.name in added:
            return
        added.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        made = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)
        for service in made.service:
            for method in service.method:
                method.ClearField("options")
        pool.Add(made)

    add(kms_pb2.DESCRIPTOR)
    return pool.FindServiceByName(SERVICE.full_name)


async def test_what_the_gateway_refused_is_told_only_to_who_may_call(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    fault = ValidationError.of("body", "is not JSON")
    refusal = to_status(fault, "coffer.gateway").SerializeToString()
    error = await frame.refused(coffer_refusal_bin=refusal)
    assert error.code == "unauthenticated"
    token = bearer(pki.issuer.admin_token(tenant))
    error = await frame.refused(
        peer="consumer/dev", authorization=token, coffer_refusal_bin=refusal
    )
    assert error.code == "forbidden"
    error = await frame.refused(authorization=token, coffer_refusal_bin=refusal)
    assert (error.code, error.fields) == ("validation_error", {"body": ["is not JSON"]})
    assert frame.servicer.calls == []


async def test_a_step_up_that_only_some_calls_need_is_judged_at_the_door_and_asked_for_inside(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    token = bearer(pki.issuer.admin_token(tenant))
    good = pki.issuer.step_up_token(tenant, jti="mine")
    await frame.call("PutTenantKms", authorization=token, x_knoxcall_stepup=good)
    assert frame.servicer.calls[-1].require_step_up().jti == "mine"
    for brought, code, reason in (
        ({}, "step_up_required", "missing"),
        ({"x_knoxcall_stepup": good[:-9]}, "step_up_required", "invalid"),
        ({"x_knoxcall_stepup": token.split()[1]}, "step_up_required", "invalid"),
        (
            {"x_knoxcall_stepup": pki.issuer.step_up_token(tenant, auth_time=time.time() - 301)},
            "step_up_expired",
            None,
        ),
    ):
        # Nobody asks: it is let in, and knows what was wrong.
        await frame.call("PutTenantKms", authorization=token, **brought)
        call = frame.servicer.calls[-1]
        assert call.step_up is None
        frame.servicer.behave = call.require_step_up  # type: ignore[assignment]
        error = await frame.refused("PutTenantKms", authorization=token, **brought)
        assert (error.code, error.reason) == (code, reason)
        frame.servicer.behave = lambda: None


async def test_step_up_is_asked_for_and_judged_before_the_body(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    token = bearer(pki.issuer.admin_token(tenant))
    missing = await frame.refused("RotateMasterKey", authorization=token)
    assert (missing.code, missing.reason) == ("step_up_required", "missing")
    fault = to_status(ValidationError.of("x", "unknown"), "coffer.gateway").SerializeToString()
    first = await frame.refused("RotateMasterKey", authorization=token, coffer_refusal_bin=fault)
    assert first.code == "step_up_required"


@pytest.mark.parametrize(
    ("claims", "code", "reason"),
    [
        ({"auth_time": 0}, "step_up_expired", None),
        ({"subject": "mallory"}, "step_up_required", "invalid"),
        ({"purpose": "login"}, "step_up_required", "invalid"),
        ({"tenant_id": "00000000-0000-4000-8000-000000000000"}, "step_up_required", "invalid"),
        ({"auth_time": "now"}, "step_up_required", "invalid"),
        ({"auth_time": 99999999999}, "step_up_required", "invalid"),
        ({"aud": "elsewhere"}, "step_up_required", "invalid"),
        ({"jti": "x" * 201}, "step_up_required", "invalid"),
    ],
)
async def test_a_defective_step_up_token_is_refused(
    frame: Frame, pki: TestPki, tenant: UUID, claims: dict[str, Any], code: str, reason: str | None
) -> None:
    error = await frame.refused(
        "RotateMasterKey",
        authorization=bearer(pki.issuer.admin_token(tenant)),
        x_knoxcall_stepup=pki.issuer.step_up_token(tenant, **claims),
    )
    assert (error.code, error.reason) == (code, reason)


async def test_a_step_up_token_works_once_even_when_the_call_fails(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    token, step_up = bearer(pki.issuer.admin_token(tenant)), pki.issuer.step_up_token(tenant)

    def fail() -> None:
        raise NotFoundError("No such thing.")

    frame.servicer.behave = fail
    first = await frame.refused("RotateMasterKey", authorization=token, x_knoxcall_stepup=step_up)
    assert first.code == "not_found"
    second = await frame.refused("RotateMasterKey", authorization=token, x_knoxcall_stepup=step_up)
    assert (second.code, second.reason) == ("step_up_required", "used")


async def test_calls_that_arrive_before_the_issuers_keys_are_loaded_wait_for_them(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    token = bearer(pki.issuer.admin_token(tenant))
    await asyncio.gather(*(frame.call(authorization=token) for _ in range(16)))
    assert len(frame.servicer.calls) == 16


async def test_copies_of_a_step_up_token_sent_at_once_do_the_work_once(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    token, step_up = bearer(pki.issuer.admin_token(tenant)), pki.issuer.step_up_token(tenant)
    outcomes = await asyncio.gather(
        *(
            frame.call("RotateMasterKey", authorization=token, x_knoxcall_stepup=step_up)
            for _ in range(8)
        ),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, CofferError)]
    assert len(outcomes) - len(refused) == 1
    assert {error.reason for error in refused} == {"used"}


async def test_an_error_travels_with_everything_it_says(
    frame: Frame, pki: TestPki, tenant: UUID
) -> None:
    def fail() -> None:
        raise TenantSealedError(reason="access_denied", http_status=409)

    frame.servicer.behave = fail
    error = await frame.refused(authorization=bearer(pki.issuer.admin_token(tenant)))
    assert (error.code, error.http_status, error.retry_after) == ("tenant_sealed", 409, 30)
    assert error.reason == "access_denied"
    assert error.hint


async def test_a_defect_of_ours_tells_nothing_of_what_it_held(
    frame: Frame, pki: TestPki, tenant: UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError(CANARY)

    frame.servicer.behave = fail
    error = await frame.refused(authorization=bearer(pki.issuer.admin_token(tenant)))
    assert (error.code, error.http_status) == ("internal_error", 500)
    written = capsys.readouterr()
    assert CANARY not in repr(error.__dict__) + error.message + written.out + written.err


async def test_a_client_without_a_certificate_of_our_ca_does_not_get_in(frame: Frame) -> None:
    credentials = grpc.ssl_channel_credentials(frame._pki.tls("kms").ca.read_bytes())
    async with grpc.aio.secure_channel(f"127.0.0.1:{frame.port}", credentials) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await kms_pb2_grpc.KmsServiceStub(channel).GetTenantKms(
                kms_pb2.GetTenantKmsRequest(), timeout=5
            )
    assert refusal.value.code() in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }


def test_policies_name_every_rpc_of_the_service() -> None:
    assert set(policies([SERVICE])) == {
        f"/{SERVICE.full_name}/{method.name}" for method in SERVICE.methods
    }
    assert GENERATE in policies([SERVICE])


def test_a_foreign_status_is_not_taken_for_ours() -> None:
    assert parse_status(status_pb2.Status(code=5, message="x")) is None
    assert parse_status(to_status(StepUpRequiredError("x", reason="used"), "coffer.kms"))
