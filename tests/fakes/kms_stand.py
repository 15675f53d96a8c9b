"""A kms process of its own event loop's, over real gRPC, TLS and PostgreSQL, with a stand-in cloud."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf import json_format, struct_pb2
from grpc import aio

from services.common.errors import CofferError
from services.common.rpc.channel import open_channel
from services.common.rpc.server import ServerSettings
from services.common.rpc.status import from_rpc_error
from services.common.sensitive import SecretBytes
from services.common.settings import Address
from services.kms.__main__ import Process
from services.kms.cloud_settings import AwsSettings, AzureSettings, GcpSettings
from services.kms.keys.master_keys import Lifetimes
from services.kms.service import SetupFacts
from services.kms.settings import Settings
from services.kms.validation import Rules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

    from devcloud.aws.seed import Customer
    from devcloud.aws.server import AwsServer
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

READY_SECONDS = 20.0
CALL_SECONDS = 30.0


@dataclass
class KmsStand:
    """One process, the ways into it, and the world around it."""

    database: TestDatabase
    pki: TestPki
    aws: AwsServer
    port: int
    process: Process
    _channels: dict[str, aio.Channel] = field(default_factory=dict)

    def stub(self, who: str) -> Any:
        """The service as the holder of `spiffe://coffer/<who>` sees it."""
        if who not in self._channels:
            channel = open_channel(f"localhost:{self.port}", self.pki.tls(who))
            self._channels[who] = channel
        return kms_pb2_grpc.KmsServiceStub(self._channels[who])

    async def admin(
        self, rpc: str, tenant_id: UUID, request: Any, *, role: str = "owner", step_up: str = ""
    ) -> Any:
        """A call of an administrator, through the gateway's certificate."""
        token = self.pki.issuer.admin_token(tenant_id, role=role)
        metadata = [("authorization", f"Bearer {token}")]
        if step_up:
            metadata.append(("x-knoxcall-stepup", step_up))
        stub = self.stub("gateway")
        return await called(getattr(stub, rpc)(request, metadata=metadata, timeout=CALL_SECONDS))

    async def put(
        self, tenant_id: UUID, body: dict[str, Any], step_up: str = ""
    ) -> kms_pb2.PutTenantKmsResponse:
        request = kms_pb2.PutTenantKmsRequest(body=struct(body))
        reply: kms_pb2.PutTenantKmsResponse = await self.admin(
            "PutTenantKms", tenant_id, request, step_up=step_up
        )
        return reply

    async def verify(
        self, tenant_id: UUID, body: dict[str, Any] | None = None
    ) -> kms_pb2.VerifyTenantKmsResponse:
        request = kms_pb2.VerifyTenantKmsRequest(body=struct(body or {}))
        reply: kms_pb2.VerifyTenantKmsResponse = await self.admin(
            "VerifyTenantKms", tenant_id, request
        )
        return reply

    async def get(self, tenant_id: UUID) -> dict[str, Any]:
        reply = await self.admin("GetTenantKms", tenant_id, kms_pb2.GetTenantKmsRequest())
        return json_format.MessageToDict(reply, preserving_proto_field_name=True)

    async def rotate(
        self, tenant_id: UUID, step_up: str | None = None
    ) -> kms_pb2.RotateMasterKeyResponse:
        token = self.pki.issuer.step_up_token(tenant_id) if step_up is None else step_up
        request = kms_pb2.RotateMasterKeyRequest()
        reply: kms_pb2.RotateMasterKeyResponse = await self.admin(
            "RotateMasterKey", tenant_id, request, step_up=token
        )
        return reply

    async def unseal(self, tenant_id: UUID, step_up: str | None = None) -> bool:
        token = self.pki.issuer.step_up_token(tenant_id) if step_up is None else step_up
        request = kms_pb2.UnsealTenantRequest()
        reply = await self.admin("UnsealTenant", tenant_id, request, step_up=token)
        return bool(reply.unsealed)

    async def offboard(
        self, tenant_id: UUID, step_up: str | None = None
    ) -> kms_pb2.DeleteTenantKmsResponse:
        token = self.pki.issuer.step_up_token(tenant_id) if step_up is None else step_up
        request = kms_pb2.DeleteTenantKmsRequest()
        reply: kms_pb2.DeleteTenantKmsResponse = await self.admin(
            "DeleteTenantKms", tenant_id, request, step_up=token
        )
        return reply

    async def generate(self, tenant_id: UUID, count: int = 1) -> kms_pb2.GenerateDataKeysResponse:
        request = kms_pb2.GenerateDataKeysRequest(tenant_id=str(tenant_id), count=count)
        reply: kms_pb2.GenerateDataKeysResponse = await called(
            self.stub("secrets").GenerateDataKeys(request, timeout=CALL_SECONDS)
        )
        return reply

    async def unwrap(
        self, tenant_id: UUID, *keys: tuple[bytes, bytes]
    ) -> kms_pb2.UnwrapDataKeysResponse:
        item = kms_pb2.UnwrapDataKeysRequest.Item
        request = kms_pb2.UnwrapDataKeysRequest(
            tenant_id=str(tenant_id), items=[item(id=a, wrapped=b) for a, b in keys]
        )
        reply: kms_pb2.UnwrapDataKeysResponse = await called(
            self.stub("secrets").UnwrapDataKeys(request, timeout=CALL_SECONDS)
        )
        return reply

    async def rewrap(self, tenant_id: UUID, packed: bytes) -> kms_pb2.RewrapDataKeysResponse:
        request = kms_pb2.RewrapDataKeysRequest(tenant_id=str(tenant_id), packed=packed)
        reply: kms_pb2.RewrapDataKeysResponse = await called(
            self.stub("secrets").RewrapDataKeys(request, timeout=CALL_SECONDS)
        )
        return reply

    async def cloud(self, work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """A command to the stand-in cloud, off the event loop."""
        return await asyncio.to_thread(work, *arguments, **more)

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()


def signing_key_pem() -> bytes:
    """A new Ed25519 private key."""
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def struct(body: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(body, struct_pb2.Struct())


async def called(call: Awaitable[Any]) -> Any:
    """The reply, or the contract's error."""
    try:
        return await call
    except aio.AioRpcError as error:
        raise from_rpc_error(error) from None


async def refused(code: str, call: Awaitable[Any]) -> CofferError:
    """Assert that a call is refused with this code; the error."""
    with pytest.raises(CofferError) as caught:
        await call
    error = caught.value
    assert error.code == code, f"{error.code} instead of {code}: {error.message}"
    return error


async def until(look: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
    """Wait for `look`; the seconds it took. Raises AssertionError after `seconds`."""
    started = time.monotonic()
    while not await look():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.03)
    return time.monotonic() - started


def onboarding(customer: Customer, **config: Any) -> dict[str, Any]:
    """The body that connects a customer's key."""
    return {
        "provider": "aws",
        "kms_key_ref": customer.key_arn,
        "config": {
            "region": customer.region,
            "role_arn": customer.role_arn,
            "external_id": customer.external_id,
            **config,
        },
    }


@contextlib.asynccontextmanager
async def running_kms(
    database: TestDatabase,
    pki: TestPki,
    aws: AwsServer,
    *,
    customer_ttl: float = 300.0,
    platform_ttl: float = 3600.0,
    sealed_retry: float = 0.3,
    master_key: bytes = bytes(range(32)),
    **told: Any,
) -> AsyncIterator[KmsStand]:
    """A process that is ready, with the settings `told`. AWS's ambient credentials are the caller's
    environment's."""
    assert os.environ.get("AWS_ACCESS_KEY_ID")
    cloud = aws.announcement()
    settings = Settings(
        server=ServerSettings(
            Address("127.0.0.1", 0), Address("127.0.0.1", 0), None, pki.tls("kms"), "warning"
        ),
        tokens=pki.issuer.settings,
        database_url=database.dsn("coffer_kms"),
        database_connections=12,
        master_key=SecretBytes(master_key),
        previous_master_key=None,
        signing_key=SecretBytes(signing_key_pem()),
        previous_signing_keys_file=None,
        idempotency_key=SecretBytes(bytes(32)),
        step_up_on_replace=False,
        lifetimes=Lifetimes(customer=customer_ttl, platform=platform_ttl),
        sealed_retry_seconds=sealed_retry,
        cached_keys=1000,
        aws=AwsSettings(aws.url, aws.url),
        gcp=GcpSettings(),
        azure=AzureSettings(),
        operator_key=None,
        setup=SetupFacts(aws_principal_arn=cloud["aws_principal_arn"]),
        rules=Rules(refused_aws_accounts=frozenset({cloud["aws_operator_account"]})),
    )
    stop = asyncio.Event()
    process = Process(replace(settings, **told))
    serving = asyncio.create_task(process.serve(stop))
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not (process.server.port and await process.ready()):
                if serving.done():
                    serving.result()
                await asyncio.sleep(0.02)
        stand = KmsStand(database, pki, aws, process.server.port, process)
        try:
            yield stand
        finally:
            await stand.close()
    finally:
        stop.set()
        await serving
