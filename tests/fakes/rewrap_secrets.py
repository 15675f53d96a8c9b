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
from coffer.kms.v1 import kms_pb2
from coffer.secrets.v1 import secrets_pb2

from services.common.database import LEASE_REFUSED, Database
from services.common.errors import CofferError, InternalError, InvalidStateError
from services.common.rpc.interceptors import CallInterceptor
from services.common.rpc.policy import Enforcer, policies
from services.common.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.common.identity import AdminIdentity, ApiKeyIdentity, StepUp
    from services.common.settings import TlsFiles


class FakeSecrets:
    """Answers RewrapBatch and VerifyBatch, and kms's SignRewrapReport.

    `obstacle` is raised instead while set; `gate` holds batches while clear. `damaged` keys do not move,
    `unreadable` ones do not open afterwards. Batches with `poisoned` keys break, and verifications with
    `unverifiable` ones. Keys of `erased` versions are no work.
    """

    def __init__(self, dsn: str) -> None:
        self._database = Database(dsn, name="fake secrets")
        self.damaged: set[UUID] = set()
        self.obstacle: CofferError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches = 0
        self.first_batch = asyncio.Event()
        self.fences: list[int] = []
        self.unreadable: set[UUID] = set()
        self.verify_obstacle: CofferError | None = None
        self.verifications = 0
        self.signed: list[int] = []
        self.poisoned: set[UUID] = set()
        self.unverifiable: set[UUID] = set()
        self.erased: list[int] = []
        self.most_at_once = self._now = 0

    async def rewrap_batch(self, request: Any, _context: Any) -> Any:
        self.batches += 1
        self.fences.append(request.fence)
        self.first_batch.set()
        if self.obstacle is not None:
            raise self.obstacle
        await self.gate.wait()
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            return await self._move(request)
        finally:
            self._now -= 1

    async def _move(self, request: Any) -> Any:
        tenant = UUID(request.tenant_id)
        after = UUID(bytes=request.after) if request.after else None
        async with self._database.tenant(tenant) as connection:
            cursor = await connection.execute(
                "select id from secrets.data_key where tenant_id = %s and key_version <> all(%s)"
                " and (%s::uuid is null or id > %s) and id <= %s order by id limit %s",
                (tenant, [request.target_version, *self.erased], after, after, UUID(bytes=request.until),
                 request.limit),
            )  # fmt: skip
            ids = [row[0] for row in await cursor.fetchall()]
        if request.pass_over:
            ids = ids[:1]
        elif self.poisoned.intersection(ids):
            raise InternalError
        failed = ids if request.pass_over else [key for key in ids if key in self.damaged]
        moved = [key for key in ids if key not in failed]
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

    async def verify_batch(self, request: Any, _context: Any) -> Any:
        self.verifications += 1
        if self.verify_obstacle is not None:
            raise self.verify_obstacle
        tenant = UUID(request.tenant_id)
        after = UUID(bytes=request.after) if request.after else None
        async with self._database.tenant(tenant) as connection:
            cursor = await connection.execute(
                "select id from secrets.data_key where tenant_id = %s and key_version = %s"
                " and (%s::uuid is null or id > %s) and id <= %s order by id limit %s",
                (tenant, request.target_version, after, after, UUID(bytes=request.until),
                 request.limit),
            )  # fmt: skip
            ids = [row[0] for row in await cursor.fetchall()]
        if request.pass_over:
            ids = ids[:1]
        elif self.unverifiable.intersection(ids):
            raise InternalError
        failed = ids if request.pass_over else [key for key in ids if key in self.unreadable]
        finished = request.last or len(ids) < request.limit
        reached = UUID(bytes=request.until) if finished else ids[-1]
        try:
            async with self._database.tenant(tenant) as connection:
                await connection.execute(
                    "select rewrap.record_verified(%s, %s, %s, %s::smallint, %s, %s, %s, %s, %s)",
                    (tenant, request.lease_id, request.fence, request.lane, after, reached,
                     finished, len(ids) - len(failed), failed),
                )  # fmt: skip
        except psycopg.Error as error:
            if error.sqlstate == LEASE_REFUSED:
                raise InvalidStateError("The lease is not running under this fence.") from None
            raise
        return secrets_pb2.VerifyBatchResponse(
            verified=len(ids) - len(failed),
            failed=len(failed),
            cursor=reached.bytes,
            lane_finished=finished,
        )

    async def sign_report(self, request: Any, _context: Any) -> Any:
        self.signed.append(request.lease_id)
        return kms_pb2.SignRewrapReportResponse()

    @contextlib.asynccontextmanager
    async def serving(self, tls: TlsFiles, port: int = 0) -> AsyncIterator[str]:
        """Serve as `secrets`; yields host:port."""
        services = [
            secrets_pb2.DESCRIPTOR.services_by_name["SecretsService"],
            kms_pb2.DESCRIPTOR.services_by_name["KmsService"],
        ]
        enforcer = Enforcer(policies(services), _Nobody())
        interceptor = CallInterceptor("coffer.secrets", enforcer, Metrics("secrets"))
        server = grpc.aio.server(interceptors=[interceptor])
        secrets, kms = services
        served = [
            _handlers(
                secrets.full_name,
                {
                    "RewrapBatch": (self.rewrap_batch, secrets_pb2.RewrapBatchRequest),
                    "VerifyBatch": (self.verify_batch, secrets_pb2.VerifyBatchRequest),
                },
            ),
            _handlers(
                kms.full_name,
                {"SignRewrapReport": (self.sign_report, kms_pb2.SignRewrapReportRequest)},
            ),
        ]
        server.add_generic_rpc_handlers(served)
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


def _handlers(service: str, methods: dict[str, tuple[Any, Any]]) -> Any:
    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                act,
                request_deserializer=request.FromString,
                response_serializer=lambda reply: reply.SerializeToString(),
            )
            for name, (act, request) in methods.items()
        },
    )


class _Nobody:
    """No credential is valid: only services may call."""

    async def api_key(self, token: str) -> ApiKeyIdentity | None:
        return None

    async def admin(self, token: str) -> AdminIdentity | None:
        return None

    async def step_up(self, token: str | None, admin: AdminIdentity, window_seconds: int) -> StepUp:
        raise LookupError
