"""A steady load of creates over REST and AccessSecret over gRPC, and what became of each request."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
import httpx
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from services.common.rpc.channel import open_channel
from services.common.rpc.status import from_rpc_error
from services.common.settings import TlsFiles
from tests.fixtures.stack import CONSUMER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

OK: Final = "ok"
STORED, VALUE = "stored", "value"
"""What every tenant has before the load begins."""
REQUEST_SECONDS: Final = 45.0
"""Longer than any deadline of the service, so that it is the service that gives up."""
_CREATED: Final = 201


@dataclass(frozen=True, slots=True)
class Request:
    """One that ended. `code` is OK or the contract's error; seconds of time.monotonic."""

    tenant_id: str
    kind: str
    began: float
    seconds: float
    code: str
    http_status: int
    retry_after: int | None


@dataclass(frozen=True, slots=True)
class Steady:
    """`callers` of each kind for a tenant, each of whom waits for `pause` seconds between two requests."""

    user: TenantUser
    callers: int
    pause: float


class Traffic:
    """The ways in of many tenants, in one event loop."""

    def __init__(self, http: httpx.AsyncClient, consumer: grpc.aio.Channel) -> None:
        self._http = http
        self._secrets = secrets_pb2_grpc.SecretsServiceStub(consumer)
        self.ended: list[Request] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, stack: RunningStack) -> AsyncIterator[Traffic]:
        """Through the front doors of a running stack."""
        certificate, key, ca = stack.identity_files(f"consumer/{CONSUMER}")
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with (
            httpx.AsyncClient(
                base_url=stack.stack.credentials.base_url,
                timeout=REQUEST_SECONDS,
                limits=limits,
                trust_env=False,
            ) as http,
            open_channel(stack.stack.address("secrets"), TlsFiles(certificate, key, ca)) as channel,
        ):
            yield cls(http, channel)

    async def run(self, loads: list[Steady], seconds: float) -> None:
        """All loads for so long, and until the last request has its answer."""
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for load in loads:
                for _ in range(load.callers):
                    for request in (self.create, self.access):
                        group.create_task(self._again(request, load, until))

    async def _again(
        self, request: Callable[[TenantUser], Awaitable[None]], load: Steady, until: float
    ) -> None:
        await asyncio.sleep(random.uniform(0.0, load.pause))
        while time.monotonic() < until:
            await request(load.user)
            await asyncio.sleep(load.pause)

    async def create(self, user: TenantUser) -> None:
        """POST /v1/secrets."""
        began = time.monotonic()
        answer = await self._http.post(
            "/v1/secrets",
            headers={"authorization": f"Bearer {user.api_key}"},
            json={"name": f"made-{uuid.uuid4().hex}", "value": VALUE},
        )
        created = answer.status_code == _CREATED
        code = OK if created else answer.json()["error"]["type"]
        wait = answer.headers.get("retry-after")
        self._note(user, "create", began, code, answer.status_code, wait and int(wait))

    async def access(self, user: TenantUser) -> None:
        """AccessSecret of what was stored before."""
        began = time.monotonic()
        question = secrets_pb2.AccessSecretRequest(tenant_id=user.id, name=STORED)
        try:
            reply = await self._secrets.AccessSecret(question, timeout=REQUEST_SECONDS)
        except grpc.aio.AioRpcError as error:
            refusal = from_rpc_error(error)
            self._note(
                user, "access", began, refusal.code, refusal.http_status, refusal.retry_after
            )
            return
        assert reply.value == VALUE
        self._note(user, "access", began, OK, 200, None)

    def _note(
        self,
        user: TenantUser,
        kind: str,
        began: float,
        code: str,
        http_status: int,
        retry_after: int | None,
    ) -> None:
        took = time.monotonic() - began
        self.ended.append(Request(user.id, kind, began, took, code, http_status, retry_after))
