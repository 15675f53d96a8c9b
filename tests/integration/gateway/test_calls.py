"""What travels with a call to a service, and what comes back of its failures."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from coffer.kms.v1 import kms_pb2
from coffer.secrets.v1 import secrets_pb2

from gateway.forwarding import TrustedProxies
from gateway.upstream import BOUNDS
from services.common.errors import (
    CODES,
    CofferError,
    InternalError,
    KmsVerifyFailedError,
    TenantSealedError,
    UnavailableError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.gateway.conftest import Stack


async def test_credentials_travel_as_they_came_and_the_address_is_the_peers(stack: Stack) -> None:
    headers = {
        "Authorization": "Bearer a.b.c",
        "X-KnoxCall-StepUp": "s.t.u",
        "X-Forwarded-For": "203.0.113.9",
        "coffer-client-ip": "203.0.113.9",
        "coffer-refusal-bin": "AAAA",
        "grpc-timeout": "1n",
    }
    await stack.client.post("/admin/tenant-kms/rotate", headers=headers)
    call = stack.backend.received[0]
    assert call.metadata["authorization"] == "Bearer a.b.c"
    assert call.metadata["x-knoxcall-stepup"] == "s.t.u"
    assert call.metadata["coffer-client-ip"] == "127.0.0.1"
    assert "x-forwarded-for" not in call.metadata
    assert "coffer-refusal-bin" not in call.metadata
    assert call.seconds_left is not None
    assert 1 < call.seconds_left < 20


async def test_a_trusted_proxy_tells_the_clients_address(
    start: Callable[..., Awaitable[Stack]],
) -> None:
    stack = await start(proxies=TrustedProxies((ip_network("127.0.0.0/8"),)))
    # The first is what the client made up.
    given = [("X-Forwarded-For", "8.8.8.8, 203.0.113.9"), ("X-Forwarded-For", "127.0.0.2")]
    await stack.client.get("/admin/tenant-kms", headers=given)
    assert stack.backend.received[0].metadata["coffer-client-ip"] == "203.0.113.9"


@pytest.mark.parametrize(
    "lines",
    [
        b"Authorization: Bearer one\r\nAuthorization: Bearer one\r\n",
        b"Authorization: Bearer one\r\nAuthorization: Bearer two\r\nAuthorization: Bearer 3\r\n",
        b"x-api-key: one\r\nX-API-Key: two\r\n",
        b"x-api-key: t\xc3\xa4\r\n",
        b"x-api-key: a\tb\r\n",
        b"x-api-key:\r\n",
        b"x-api-key: " + b"k" * 5000 + b"\r\n",
        b"Authorization: Bearer " + b"k" * 20_000 + b"\r\n",
        # Beside a good one: which of them was meant?
        b"Authorization: Bearer one\r\nx-api-key: one\r\nx-api-key: two\r\n",
        b"Authorization: Bearer one\r\nx-api-key: " + b"k" * 300 + b"\r\n",
        b"x-api-key: one\r\nAuthorization:\r\n",
    ],
)
async def test_an_ambiguous_or_unusable_credential_is_none(stack: Stack, lines: bytes) -> None:
    request = b"GET /v1/secrets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n"
    answer = await stack.raw(request)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nwww-authenticate: Bearer\r\n" in answer
    assert stack.backend.received == []


@pytest.mark.parametrize("sent", [["a", "b"], ["s" * 9000], [""]])
async def test_an_unusable_step_up_token_is_told_from_none(stack: Stack, sent: list[str]) -> None:
    headers = [("authorization", "Bearer x"), *(("X-KnoxCall-StepUp", token) for token in sent)]
    await stack.client.post("/admin/tenant-kms/rotate", headers=headers)
    assert stack.backend.received[0].metadata["x-knoxcall-stepup"] == "unusable"


@pytest.mark.parametrize("code", CODES)
async def test_each_code_of_the_contract_arrives_with_its_status(stack: Stack, code: str) -> None:
    error = CofferError("A sentence.", fields={"name": ["is taken"]}, reason="r", hint="h")
    error.code = code
    error.http_status = CODES[code].http_status
    stack.backend.replies["CreateSecret"] = error
    answer = await stack.client.post("/v1/secrets", json={"name": "A"})
    assert answer.status_code == CODES[code].http_status
    assert answer.json() == {
        "error": {
            "type": code,
            "message": "A sentence.",
            "request_id": answer.headers["x-request-id"],
            "fields": {"name": ["is taken"]},
            "reason": "r",
            "hint": "h",
        }
    }
    assert ("retry-after" in answer.headers) == (answer.status_code in {429, 503})


async def test_optional_members_of_an_error_arrive(stack: Stack) -> None:
    stack.backend.replies["PutTenantKms"] = KmsVerifyFailedError(
        "The key was refused.", provider="aws", reason="access_denied", hint="Add kms:Decrypt."
    )
    answer = await stack.client.post("/admin/tenant-kms", json={})
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["provider"], error["reason"]) == ("aws", "access_denied")
    assert "fields" not in error
    assert "retry_after" not in error
    stack.backend.replies["GetTenantKms"] = TenantSealedError()
    answer = await stack.client.get("/admin/tenant-kms")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.json()["error"]["retry_after"] == 30
    stack.backend.replies["RotateMasterKey"] = TenantSealedError(http_status=409)
    assert (await stack.client.post("/admin/tenant-kms/rotate")).status_code == 409


@pytest.mark.parametrize("count", [100, 300, 5_000])
async def test_any_number_of_faults_a_service_finds_is_a_400(stack: Stack, count: int) -> None:
    faults = {f"config.ünbekannt_{n}": ["unknown field of this provider"] for n in range(count)}
    message = "; ".join(faults)
    stack.backend.replies["PutTenantKms"] = ValidationError(message, fields=faults)
    answer = await stack.client.post("/admin/tenant-kms", json={})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "validation_error")
    assert len(error["fields"]) > 10
    assert error["fields"].items() <= faults.items()


async def test_a_foreign_failure_says_nothing_of_its_cause(stack: Stack) -> None:
    async def crash(_request: Any) -> Any:
        raise RuntimeError("password=hunter2")

    stack.backend.replies["ListSecrets"] = crash
    answer = await stack.client.get("/v1/secrets")
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "type": "internal_error",
        "message": InternalError().message,
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_reply_that_breaks_its_contract_is_500_and_not_half_an_answer(
    stack: Stack,
) -> None:
    stack.backend.replies["CreateSecret"] = secrets_pb2.CreateSecretResponse()
    answer = await stack.client.post("/v1/secrets", json={"name": "A"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "internal_error")


async def test_a_service_that_is_too_slow_is_504(
    start: Callable[..., Awaitable[Stack]],
) -> None:
    stack = await start(timeout_seconds=0.2)
    forever = asyncio.Event()

    async def hang(_request: Any) -> Any:
        await forever.wait()

    stack.backend.replies["ListSecrets"] = hang
    answer = await stack.client.get("/v1/secrets")
    assert (answer.status_code, answer.json()["error"]["type"]) == (504, "timeout")


async def test_a_service_that_is_away_is_503_with_retry_after(stack: Stack) -> None:
    stack.backend.replies["ListSecrets"] = UnavailableError()
    answer = await stack.client.get("/v1/secrets")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(("credentials", "bound"), [(1, BOUNDS.calls_per_key), (8, BOUNDS.calls)])
async def test_hundreds_of_requests_at_once_are_all_answered(
    start: Callable[..., Awaitable[Stack]], credentials: int, bound: int
) -> None:
    stack = await start(timeout_seconds=60.0)
    under_way = 0
    most = 0

    async def slowly(_request: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        return secrets_pb2.ListSecretsResponse()

    stack.backend.replies["ListSecrets"] = slowly
    headers = [{"x-api-key": f"k{n % credentials}"} for n in range(250)]
    async with httpx.AsyncClient(
        base_url=stack.client.base_url,
        limits=httpx.Limits(max_connections=250),
        timeout=60,
        trust_env=False,
    ) as client:
        answers = await asyncio.gather(*(client.get("/v1/secrets", headers=h) for h in headers))
    assert {answer.status_code for answer in answers} == {200}
    assert most <= bound


@pytest.mark.parametrize(
    ("credentials", "places"),
    [(1, BOUNDS.calls_per_key), (4, 4 * (BOUNDS.calls // 5))],
)
async def test_credentials_whose_calls_hang_do_not_hold_up_another(
    stack: Stack, credentials: int, places: int
) -> None:
    entered = asyncio.Semaphore(0)
    go_on = asyncio.Event()

    async def hang(_request: Any) -> Any:
        entered.release()
        await go_on.wait()
        return kms_pb2.GetTenantKmsResponse()

    stack.backend.replies["GetTenantKms"] = hang
    async with httpx.AsyncClient(
        base_url=stack.client.base_url,
        limits=httpx.Limits(max_connections=None),
        timeout=60,
        trust_env=False,
    ) as client:

        async def show(authorization: str) -> int:
            headers = {"authorization": authorization}
            return (await client.get("/admin/tenant-kms", headers=headers)).status_code

        slow = [
            asyncio.create_task(show(f"Bearer slow-{n % credentials}"))
            for n in range(credentials * BOUNDS.calls_per_key + 16)
        ]
        async with asyncio.timeout(20):
            for _ in range(places):
                await entered.acquire()
            stack.backend.replies["GetTenantKms"] = kms_pb2.GetTenantKmsResponse()
            assert await show("Bearer other") == 200
            assert await show("") == 401
            assert sum(not task.done() for task in slow) >= places
            go_on.set()
            assert set(await asyncio.gather(*slow)) == {200}


async def test_a_full_waiting_room_is_503_with_retry_after_on_a_connection_that_stays(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_arguments: object) -> None:
        raise UnavailableError

    monkeypatch.setattr("gateway.places.Places.take", lambda _self, _key: False)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.places.Places.wait", full)
        answer = await stack.client.post("/v1/secrets", json={"name": "A"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "connection" not in answer.headers
    assert stack.backend.received == []
