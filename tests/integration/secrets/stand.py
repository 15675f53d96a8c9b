"""What the tests of the secrets service say to it: calls as a client, a consumer or another service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from services.common.errors import CofferError
from services.common.rpc.channel import open_channel
from services.common.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from uuid import UUID

    from tests.fakes.secrets_kms import FakeKms
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

MAX_AT_ONCE = 64
"""More calls at once on one channel get cancelled by gRPC itself."""


@dataclass
class Stand:
    """A running service and who talks to it."""

    database: TestDatabase
    pki: TestPki
    kms: FakeKms
    target: str
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    def stub(self, who: str = "gateway") -> Any:
        """The service as the holder of the certificate `who`."""
        if who not in self._channels:
            self._channels[who] = open_channel(self.target, self.pki.tls(who))
        return secrets_pb2_grpc.SecretsServiceStub(self._channels[who])

    def tenant(self, slug: str = "acme", plan: str = "enterprise") -> Client:
        tenant_id = self.database.create_tenant(slug, plan)
        return Client(self, tenant_id, self.database.create_api_key(tenant_id))

    async def access(
        self, tenant_id: UUID, who: str = "consumer/dev", **fields: Any
    ) -> secrets_pb2.AccessSecretResponse:
        request = secrets_pb2.AccessSecretRequest(tenant_id=str(tenant_id), **fields)
        reply: secrets_pb2.AccessSecretResponse = await answered(
            self.stub(who).AccessSecret(request, timeout=30)
        )
        return reply

    async def aclose(self) -> None:
        for channel in self._channels.values():
            await channel.close()


@dataclass
class Client:
    """A tenant's client with an API key."""

    stand: Stand
    tenant_id: UUID
    api_key: str

    async def create(self, name: str, value: str = "s3cret", **fields: Any) -> Any:
        request = secrets_pb2.CreateSecretRequest(name=name, value=value, **fields)
        reply = await self.call("CreateSecret", request)
        return reply.secret

    async def call(self, rpc: str, request: Any) -> Any:
        method = getattr(self.stand.stub(), rpc)
        metadata = [("authorization", f"Bearer {self.api_key}")]
        return await answered(method(request, metadata=metadata, timeout=30))

    async def put(self, secret_id: str, value: str, **fields: Any) -> Any:
        request = secrets_pb2.PutSecretValueRequest(id=secret_id, value=value, **fields)
        return await self.call("PutSecretValue", request)

    async def get(self, secret_id: str) -> Any:
        return await self.call("GetSecret", secrets_pb2.GetSecretRequest(id=secret_id))

    async def delete(self, secret_id: str) -> Any:
        return await self.call("DeleteSecret", secrets_pb2.DeleteSecretRequest(id=secret_id))

    async def list(self, **fields: Any) -> Any:
        return await self.call("ListSecrets", secrets_pb2.ListSecretsRequest(**fields))

    def live_secrets(self) -> int:
        rows = self.stand.database.rows(
            "select live_secrets from secrets.usage where tenant_id = %s", (self.tenant_id,)
        )
        return int(str(rows[0][0]))


async def answered(call: Awaitable[Any]) -> Any:
    """The reply, or the CofferError that was answered."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None


async def outcomes(calls: list[Any]) -> list[Any]:
    """The reply or the code of each, all called at once."""
    gate = asyncio.Semaphore(MAX_AT_ONCE)

    async def one(call: Any) -> Any:
        async with gate:
            try:
                return await call
            except CofferError as error:
                return error.code

    return list(await asyncio.gather(*(one(call) for call in calls)))
