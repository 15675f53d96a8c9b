"""secrets as rewrap sees it: a real gRPC server over mTLS that moves real rows and saves real counts.

It opens no key: a move only changes the row's version. Everything else, the fence above all, is the
database's own `rewrap.record_batch`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import psycopg
from coffer.secrets.v1 import secrets_pb2

from services.common.database import LEASE_REFUSED, Database
from services.common.errors import CofferError, InvalidStateError
from services.common.rpc.interceptors import CallInterceptor
from services.common.rpc.policy import Enforcer, policies
from services.common.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.common.identity import AdminIdentity, ApiKeyIdentity, StepUp
    from services.common.settings import TlsFiles


class FakeSecrets:
    """Answers RewrapBatch. `obstacle` is raised instead while set; `gate` holds batches while clear."""

    def __init__(self, dsn: str) -> None:
        self._database = Database(dsn, name="fake secrets")
        self.damaged: set[UUID] = set()
        self.obstacle: CofferError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches = 0
        self.first_batch = asyncio.Event()
        self.fences: list[int] = []

    async def rewrap_batch(self, request: Any, _context: Any) -> Any:
        self.batches += 1
        self.fences.append(request.fence)
        self.first_batch.set()
        if self.obstacle is not None:
            raise self.obstacle
        await self.gate.wait()
        return await self._move(request)

    async def _move(self, request: Any) -> Any:
        tenant = UUID(request.tenant_id)
        after = UUID(bytes=request.after) if request.after else None
        async with self._database.tenant(tenant) as connection:
            cursor = await connection.execute(
                "select id from secrets.data_key where tenant_id = %s and key_version <> %s"
                " and (%s::uuid is null or id > %s) and id <= %s order by id limit %s",
                (tenant, request.target_version, after, after, UUID(bytes=request.until),
                 request.limit),
            )  # fmt: skip
            ids = [row[0] for row in await cursor.fetchall()]
        failed = [key for key in ids if key in self.damaged]
        moved = [key for key in ids if key not in self.damaged]
        finished = len(ids) < request.limit
        reached = UUID(bytes=request.until) if finished else ids[-1]
        try:
            async with self._database.tenant(tenant) as connection:
                await connection.execute(
                    "update secrets.data_key set key_version = %s where tenant_id = %s"
                    " and id = any(%s)",
                    (request.target_version, tenant, moved),
                )
                await connection.execute(
                    "select rewrap.record_batch(%s, %s, %s, %s::smallint, %s, %s, %s, %s, 0, %s)",
                    (tenant, request.lease_id, request.fence, request.lane, after, reached,
                     finished, len(moved), failed),
                )  # fmt: skip
        except psycopg.Error as error:
            if error.sqlstate == LEASE_REFUSED:
                raise InvalidStateError("The lease is not running under this fence.") from None
            raise
        return secrets_pb2.RewrapBatchResponse(
            done=len(moved),
            failed=len(failed),
            cursor=reached.bytes,
            lane_finished=finished,
        )

    @contextlib.asynccontextmanager
    async def serving(self, tls: TlsFiles, port: int = 0) -> AsyncIterator[str]:
        """Serve as `secrets`; yields host:port."""
        descriptor = secrets_pb2.DESCRIPTOR.services_by_name["SecretsService"]
        enforcer = Enforcer(policies([descriptor]), _Nobody())
        interceptor = CallInterceptor("coffer.secrets", enforcer, Metrics("secrets"))
        server = grpc.aio.server(interceptors=[interceptor])
        handler = grpc.unary_unary_rpc_method_handler(
            self.rewrap_batch,
            request_deserializer=secrets_pb2.RewrapBatchRequest.FromString,
            response_serializer=secrets_pb2.RewrapBatchResponse.SerializeToString,
        )
        served = grpc.method_handlers_generic_handler(
            descriptor.full_name, {"RewrapBatch": handler}
        )
        server.add_generic_rpc_handlers((served,))
        credentials = grpc.ssl_server_credentials(
            [(tls.key.read_bytes(), tls.certificate.read_bytes())],
            root_certificates=tls.ca.read_bytes(),
            require_client_auth=True,
        )
        bound = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        await self._database.open()
        await server.start()
        try:
            yield f"127.0.0.1:{bound}"
        finally:
            self.gate.set()
            await server.stop(1)
            await self._database.close()


class _Nobody:
    """No credential is valid: only services may call."""

    async def api_key(self, token: str) -> ApiKeyIdentity | None:
        return None

    async def admin(self, token: str) -> AdminIdentity | None:
        return None

    async def step_up(self, token: str | None, admin: AdminIdentity, window_seconds: int) -> StepUp:
        raise LookupError
