"""`python -m gateway` as it is started, before servers that enforce policy, over mutual TLS."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from gateway.wiring import SERVICES
from services.common.errors import StepUpRequiredError
from services.common.identity import AdminIdentity, ApiKeyIdentity, StepUp
from services.common.rpc.server import RpcServer, Served, ServerSettings
from services.common.settings import Address
from tests.integration.gateway.conftest import GENERATED, Backend, make_servicer

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.fixtures.pki import TestPki

TENANT = UUID("5b0c1d0e-6f6a-4f0e-9b5c-2f1f5a3d7c11")
ANY_PORT = Address("127.0.0.1", 0)


class Credentials:
    """Knows two API keys and one administrator, who has no step-up token."""

    async def api_key(self, token: str) -> ApiKeyIdentity | None:
        scopes = {"writer": frozenset({"secrets:write"}), "reader": frozenset({"secrets:read"})}
        return ApiKeyIdentity(TENANT, token, scopes[token]) if token in scopes else None

    async def admin(self, token: str) -> AdminIdentity | None:
        return AdminIdentity(TENANT, "alice", "owner") if token == "owner" else None

    async def step_up(self, token: str | None, admin: AdminIdentity, window_seconds: int) -> StepUp:
        raise StepUpRequiredError("A step-up is required.", reason="missing")


async def _ready() -> bool:
    return True


@asynccontextmanager
async def _service(name: str, pki: TestPki, folder: Path, backend: Backend) -> AsyncIterator[int]:
    parent, add = GENERATED[name]
    ready_file = folder / f"{name}.ready"
    server = RpcServer(
        name,
        ServerSettings(ANY_PORT, ANY_PORT, ready_file, pki.tls(name), "info"),
        Served(SERVICES[name], lambda s: add(make_servicer(parent, SERVICES[name], backend), s)),
        authentication=Credentials(),
        ready=_ready,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(server.serve(stop))
    await _appears(ready_file, task)
    try:
        yield server.port
    finally:
        stop.set()
        await task


async def _appears(file: Path, alive: asyncio.Task[Any]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (text := _text(file)) is None:
            assert not alive.done(), "it ended instead of becoming ready"
            await asyncio.sleep(0.02)
    found: dict[str, Any] = json.loads(text)
    return found


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


@asynccontextmanager
async def _gateway(
    pki: TestPki, folder: Path, ports: dict[str, int], **more: str
) -> AsyncIterator[tuple[Process, str, Path]]:
    tls = pki.tls("gateway")
    ready_file = folder / "gateway.ready"
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "COFFER_GATEWAY_LISTEN": "127.0.0.1:0",
        "COFFER_GATEWAY_READY_FILE": str(ready_file),
        "COFFER_GATEWAY_TLS_CERT_FILE": str(tls.certificate),
        "COFFER_GATEWAY_TLS_KEY_FILE": str(tls.key),
        "COFFER_GATEWAY_TLS_CA_FILE": str(tls.ca),
        **{f"COFFER_GATEWAY_{n.upper()}_TARGET": f"127.0.0.1:{p}" for n, p in ports.items()},
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=environment, stderr=asyncio.subprocess.PIPE
    )
    ended = asyncio.create_task(process.wait())
    try:
        ready = await _appears(ready_file, ended)
        assert ready["pid"] == process.pid
        yield process, ready["listen"], ready_file
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        await ended


@pytest.fixture
async def services(pki: TestPki, tmp_path: Path) -> AsyncIterator[tuple[Backend, dict[str, int]]]:
    backend = Backend()
    async with AsyncExitStack() as opened:
        ports = {
            name: await opened.enter_async_context(_service(name, pki, tmp_path, backend))
            for name in SERVICES
        }
        yield backend, ports


async def test_a_refusal_is_answered_after_401_and_403_and_before_any_effect(
    pki: TestPki, tmp_path: Path, services: tuple[Backend, dict[str, int]]
) -> None:
    backend, ports = services
    async with (
        _gateway(pki, tmp_path, ports) as (process, listen, ready_file),
        httpx.AsyncClient(base_url=f"http://{listen}", trust_env=False) as client,
    ):
        assert (await client.get("/readyz")).json()["status"] == "ready"

        async def status(method: str, path: str, token: str | None, body: bytes) -> Any:
            headers = {"content-type": "application/json"}
            if token:
                headers["authorization"] = f"Bearer {token}"
            answer = await client.request(method, path, content=body, headers=headers)
            return answer.status_code, answer.json().get("error", {}).get("type")

        for broken in (b"{", b'{"nope": 1}', b'{"name": 1}'):
            create = ("POST", "/v1/secrets")
            assert await status(*create, None, broken) == (401, "unauthenticated")
            assert await status(*create, "owner", broken) == (401, "unauthenticated")
            assert await status(*create, "reader", broken) == (403, "insufficient_scope")
            assert await status(*create, "writer", broken) == (400, "validation_error")
            rotate = ("POST", "/admin/tenant-kms/rotate")
            assert await status(*rotate, "writer", broken) == (401, "unauthenticated")
            assert await status(*rotate, "owner", broken) == (403, "step_up_required")
        onboard = ("POST", "/admin/tenant-kms")
        assert await status(*onboard, None, b"{") == (401, "unauthenticated")
        assert await status(*onboard, "owner", b"{") == (400, "validation_error")
        lease = "/admin/tenant-kms/rewraps/x"
        assert await status("GET", lease, None, b"") == (401, "unauthenticated")
        assert await status("GET", lease, "owner", b"") == (404, "not_found")
        assert backend.received == []
        assert await status("POST", "/admin/tenant-kms", "owner", b"{}") == (200, None)
        assert [call.rpc for call in backend.received] == ["PutTenantKms"]

        process.terminate()
        assert await process.wait() == 0
        assert _text(ready_file) is None


async def test_a_body_in_flight_never_reaches_the_log(
    pki: TestPki, tmp_path: Path, services: tuple[Backend, dict[str, int]]
) -> None:
    _, ports = services
    log = b""
    async with _gateway(pki, tmp_path, ports, COFFER_LOG_LEVEL="debug") as (process, listen, _):
        async with httpx.AsyncClient(base_url=f"http://{listen}", trust_env=False) as client:
            headers = {"authorization": "Bearer canary-token", "x-api-key": "canary-key"}
            for body in ({"value": "canary-value"}, {"canary-name": 1}, ["canary-item"]):
                answer = await client.post("/v1/secrets?canary=1", json=body, headers=headers)
                assert answer.status_code == 401
            # A service that answers nothing sensible must not make the gateway quote anything.
            answer = await client.post("/v1/secrets", content=b"\xff canary", headers=headers)
        process.terminate()
        _, log = await process.communicate()
    assert b'"ready"' in log
    assert b"canary" not in log


async def test_https_is_a_setting_and_services_that_are_away_are_503(
    pki: TestPki, tmp_path: Path
) -> None:
    tls = pki.tls("gateway")
    https = {
        "COFFER_GATEWAY_HTTP_TLS_CERT_FILE": str(tls.certificate),
        "COFFER_GATEWAY_HTTP_TLS_KEY_FILE": str(tls.key),
    }
    nowhere = dict.fromkeys(SERVICES, 1)
    context = ssl.create_default_context(cafile=str(tls.ca))
    async with (
        _gateway(pki, tmp_path, nowhere, **https) as (_, listen, _file),
        httpx.AsyncClient(base_url=f"https://{listen}", verify=context, trust_env=False) as client,
    ):
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        answer = await client.get("/v1/secrets", headers={"x-api-key": "k"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("environ", "named"),
    [({}, b"COFFER_GATEWAY_KMS_TARGET"), ({"COFFER_LOG_LEVEL": "canary"}, b"COFFER_LOG_LEVEL")],
)
async def test_wrong_settings_are_named_and_end_it(environ: dict[str, str], named: bytes) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, log = await process.communicate()
    assert process.returncode == 78
    assert named in log
    assert b"canary" not in log
