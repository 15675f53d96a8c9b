"""A kms service for tests of secrets: real gRPC, real AES, master keys in memory.

Its key versions are rows of the real schema, so that the database refuses what it should refuse.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, Final

import grpc
import psycopg
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from services.common import aad
from services.common.errors import TenantSealedError
from services.common.rpc.status import to_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from services.common.settings import TlsFiles
    from tests.fixtures.database import TestDatabase

USABLE_MS: Final = 20_000
_HEADER: Final = b"KCT1"


class FakeKms(kms_pb2_grpc.KmsServiceServicer):
    """The three data-key rpcs, and what a test may do to a tenant's keys."""

    def __init__(self, database: TestDatabase) -> None:
        self._database = database
        self._keys: dict[tuple[UUID, int], bytes] = {}
        self._active: dict[UUID, int] = {}
        self.sealed: set[UUID] = set()
        self.revoked: set[tuple[UUID, int]] = set()
        self.sealed_versions: set[tuple[UUID, int]] = set()
        self.generated: list[int] = []
        self.unwrapped: list[int] = []
        self.rewrapped: list[int] = []
        self.plaintexts: list[bytes] = []
        self.while_unwrapping: Callable[[], Awaitable[None]] | None = None
        """What befalls the tenant while the customer's cloud is asked, once."""

    def rotate(self, tenant_id: UUID) -> int:
        """A new active version, committed as kms would."""
        version = self._active.get(tenant_id, 0) + 1
        self._keys[tenant_id, version] = os.urandom(32)
        with psycopg.connect(self._database.admin_dsn) as connection:
            connection.execute(
                "update kms.master_key set status = 'retired', retired_at = now()"
                " where tenant_id = %s and status = 'active'",
                (tenant_id,),
            )
            connection.execute(
                "insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped,"
                " check_value, status) values (%s, %s, %s, 'global', 'x', %s, 'active')",
                (tenant_id, version, uuid.uuid4(), bytes(32)),
            )
        self._active[tenant_id] = version
        return version

    def revoke(self, tenant_id: UUID, version: int) -> None:
        """Erase a version."""
        self.revoked.add((tenant_id, version))
        self._database.execute(
            "update kms.master_key set status = 'revoked', wrapped = null, revoked_at = now()"
            " where tenant_id = %s and version = %s",
            (tenant_id, version),
        )

    def wrap(self, tenant_id: UUID, version: int, key_id: UUID, plaintext: bytes) -> bytes:
        header = _HEADER + version.to_bytes(4, "big")
        nonce = os.urandom(12)
        cipher = AESGCM(self._keys[tenant_id, version])
        return (
            header
            + nonce
            + cipher.encrypt(nonce, plaintext, aad.data_key(tenant_id, key_id, header))
        )

    async def GenerateDataKeys(
        self, request: kms_pb2.GenerateDataKeysRequest, context: Any
    ) -> kms_pb2.GenerateDataKeysResponse:
        tenant_id = uuid.UUID(request.tenant_id)
        await self._refuse_sealed(tenant_id, context)
        if tenant_id not in self._active:
            self.rotate(tenant_id)
        version = self._active[tenant_id]
        reply = kms_pb2.GenerateDataKeysResponse(key_version=version, usable_for_ms=USABLE_MS)
        for _ in range(request.count):
            key_id, plaintext = uuid.uuid4(), os.urandom(32)
            self.plaintexts.append(plaintext)
            reply.data_keys.add(
                id=key_id.bytes,
                plaintext=plaintext,
                wrapped=self.wrap(tenant_id, version, key_id, plaintext),
            )
        self.generated.append(request.count)
        return reply

    async def UnwrapDataKeys(
        self, request: kms_pb2.UnwrapDataKeysRequest, context: Any
    ) -> kms_pb2.UnwrapDataKeysResponse:
        tenant_id = uuid.UUID(request.tenant_id)
        await self._refuse_sealed(tenant_id, context)
        meanwhile, self.while_unwrapping = self.while_unwrapping, None
        if meanwhile is not None:
            await meanwhile()
        reply = kms_pb2.UnwrapDataKeysResponse(usable_for_ms=USABLE_MS)
        for item in request.items:
            found = self._open(tenant_id, uuid.UUID(bytes=item.id), item.wrapped)
            if isinstance(found, bytes):
                reply.results.add(plaintext=found)
            else:
                sealed = found == kms_pb2.DATA_KEY_FAULT_SEALED
                reply.results.add(fault=found, reason="access_denied" if sealed else None)
        self.unwrapped.append(len(request.items))
        return reply

    async def RewrapDataKeys(
        self, request: kms_pb2.RewrapDataKeysRequest, context: Any
    ) -> kms_pb2.RewrapDataKeysResponse:
        tenant_id = uuid.UUID(request.tenant_id)
        await self._refuse_sealed(tenant_id, context)
        version = self._active[tenant_id]
        reply = kms_pb2.RewrapDataKeysResponse(key_version=version)
        records = [request.packed[at : at + 84] for at in range(0, len(request.packed), 84)]
        parts = []
        for index, record in enumerate(records):
            key_id = uuid.UUID(bytes=record[:16])
            found = self._open(tenant_id, key_id, record[16:])
            if isinstance(found, bytes):
                parts.append(self.wrap(tenant_id, version, key_id, found))
            else:
                parts.append(bytes(68))
                reply.failures.add(index=index, fault=found)
        reply.packed = b"".join(parts)
        self.rewrapped.append(len(records))
        return reply

    def _open(
        self, tenant_id: UUID, key_id: UUID, wrapped: bytes
    ) -> bytes | kms_pb2.DataKeyFault.ValueType:
        header, version = wrapped[:8], int.from_bytes(wrapped[4:8], "big")
        if (tenant_id, version) in self.revoked:
            return kms_pb2.DATA_KEY_FAULT_REVOKED
        if (tenant_id, version) in self.sealed_versions:
            return kms_pb2.DATA_KEY_FAULT_SEALED
        key = self._keys.get((tenant_id, version))
        if key is None or wrapped[:4] != _HEADER:
            return kms_pb2.DATA_KEY_FAULT_DAMAGED
        facts = aad.data_key(tenant_id, key_id, header)
        try:
            return AESGCM(key).decrypt(wrapped[8:20], wrapped[20:], facts)
        except InvalidTag:
            return kms_pb2.DATA_KEY_FAULT_DAMAGED

    async def _refuse_sealed(self, tenant_id: UUID, context: Any) -> None:
        if tenant_id in self.sealed:
            status = to_status(TenantSealedError(), "coffer.kms")
            await context.abort_with_status(rpc_status.to_status(status))


async def start(kms: FakeKms, tls: TlsFiles) -> tuple[grpc.aio.Server, int]:
    """Serve `kms` with mutual TLS on a free port of loopback."""
    server = grpc.aio.server()
    kms_pb2_grpc.add_KmsServiceServicer_to_server(kms, server)
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    credentials = grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=tls.ca.read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    return server, port


def versions(kms: FakeKms) -> Sequence[tuple[UUID, int]]:
    """Every master-key version that was made."""
    return list(kms._keys)
