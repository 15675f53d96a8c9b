"""A refused call before the servers that really enforce it, `RpcServer` with its `CallInterceptor`.

What would go wrong: a call that was refused for its body is carried out all the same.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import httpx
import pytest
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from gateway.faults import refusal
from gateway.wiring import SERVICES, make_gateway
from services.common.errors import ValidationError
from services.common.identity import AdminIdentity, ApiKeyIdentity, StepUp
from services.common.rpc.channel import open_channel
from services.common.rpc.server import RpcServer, Served, ServerSettings
from services.common.rpc.status import from_rpc_error
from services.common.settings import Address
from tests.integration.gateway.conftest import GENERATED, Backend, make_servicer, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.fixtures.pki import TestPki
    from tests.integration.gateway.conftest import Stack

TENANT = UUID("5b0c1d0e-6f6a-4f0e-9b5c-2f1f5a3d7c11")
ANY_PORT = Address("127.0.0.1", 0)
ROTATE = "/admin/tenant-kms/rotate"
BROKEN = (b"{", b'{"nope": 1}', b"[]", b'{"a":[' + b"0," * 6_000 + b"0]}")


class LetIn:
    """Lets everybody in who brings a credential, step-up included."""

    async def api_key(self, token: str) -> ApiKeyIdentity | None:
        return ApiKeyIdentity(TENANT, "key", frozenset({"secrets:write"}))

    async def admin(self, token: str) -> AdminIdentity | None:
        return AdminIdentity(TENANT, "alice", "owner")

    async def step_up(self, token: str | None, admin: AdminIdentity, window_seconds: int) -> StepUp:
        return StepUp("jti", dt.datetime.max.replace(tzinfo=dt.UTC))


async def _ready() -> bool:
    return True


@pytest.fixture
async def kms(pki: TestPki, tmp_path: Path) -> AsyncIterator[tuple[Backend, int]]:
    """kms' own server around a servicer that records what reaches it."""
    backend = Backend()
    parent, add = GENERATED["kms"]
    servicer = make_servicer(parent, SERVICES["kms"], backend)
    server = RpcServer(
        "kms",
        ServerSettings(ANY_PORT, ANY_PORT, tmp_path / "ready", pki.tls("kms"), "info"),
        Served(SERVICES["kms"], lambda grpc_server: add(servicer, grpc_server)),
        authentication=LetIn(),
        ready=_ready,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(server.serve(stop))
    async with asyncio.timeout(30):
        while not (tmp_path / "ready").exists():  # noqa: ASYNC110 - a file tells no event
            await asyncio.sleep(0.02)
    yield backend, server.port
    stop.set()
    await task


@asynccontextmanager
async def gateway_as(name: str, pki: TestPki, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway whose certificate says that it is `name`."""
    async with AsyncExitStack() as opened:
        channels = {
            service: await opened.enter_async_context(
                open_channel(f"127.0.0.1:{port}", pki.tls(name))
            )
            for service in SERVICES
        }
        at = await opened.enter_async_context(serving(make_gateway(channels, timeout_seconds=10.0)))
        yield await opened.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{at}",
                headers={
                    "authorization": "Bearer owner",
                    "x-knoxcall-stepup": "fresh",
                    "content-type": "application/json",
                },
                trust_env=False,
            )
        )


async def test_a_refused_rotation_rotates_nothing(pki: TestPki, kms: tuple[Backend, int]) -> None:
    backend, port = kms
    async with gateway_as("gateway", pki, port) as client:
        for body in BROKEN:
            answer = await client.post(ROTATE, content=body)
            assert (answer.status_code, answer.json()["error"]["type"]) == (400, "validation_error")
        assert backend.received == []
        assert (await client.post(ROTATE)).status_code == 200
    assert [call.rpc for call in backend.received] == ["RotateMasterKey"]


@pytest.mark.parametrize("name", ["secrets", "rewrap", "consumer/billing"])
async def test_a_refusal_of_anybody_but_the_gateway_is_forbidden_and_rotates_nothing(
    pki: TestPki, kms: tuple[Backend, int], name: str
) -> None:
    backend, port = kms
    async with gateway_as(name, pki, port) as client:
        for body in BROKEN:
            answer = await client.post(ROTATE, content=body)
            assert (answer.status_code, answer.json()["error"]["type"]) == (403, "forbidden")
    async with open_channel(f"127.0.0.1:{port}", pki.tls(name)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await kms_pb2_grpc.KmsServiceStub(channel).RotateMasterKey(
                kms_pb2.RotateMasterKeyRequest(),
                metadata=(
                    ("authorization", "Bearer owner"),
                    ("x-knoxcall-stepup", "fresh"),
                    refusal(ValidationError("no")),
                ),
                timeout=10,
            )
    assert from_rpc_error(refused.value).code == "forbidden"
    assert backend.received == []


async def test_the_longest_credentials_and_the_longest_refusal_travel_together(
    pki: TestPki, kms: tuple[Backend, int]
) -> None:
    backend, port = kms
    many_faults = b"{" + b",".join(b'"%0100d": 1' % n for n in range(500)) + b"}"
    async with gateway_as("gateway", pki, port) as client:
        client.headers["authorization"] = "Bearer " + "j" * (16 * 1024 - 7)
        client.headers["x-knoxcall-stepup"] = "s" * 8 * 1024
        for _ in range(20):  # above the bound gRPC refuses at random
            answer = await client.post(ROTATE, content=many_faults)
            assert answer.json()["error"]["message"] == "The request has 500 faults."
            assert (await client.post(ROTATE)).status_code == 200
        client.headers["authorization"] += "j"
        assert (await client.post(ROTATE)).status_code == 401
    assert len(backend.received) == 20


async def test_a_service_that_ignores_a_refusal_is_a_defect_and_its_reply_no_answer(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def obey(_rpc: Any, _request: Any, _context: Any) -> Any:
        return kms_pb2.RotateMasterKeyResponse(rotated=True, new_version=7)

    monkeypatch.setattr(stack.backend, "answer", obey)
    answer = await stack.client.post(ROTATE, json={"nope": 1})
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "internal_error")
    assert "new_version" not in answer.text
