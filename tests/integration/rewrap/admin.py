"""An administrator of one tenant, as the gateway passes calls on; and the key ring that kms would keep."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest
from coffer.rewrap.v1 import rewrap_pb2, rewrap_pb2_grpc
from google.protobuf.field_mask_pb2 import FieldMask

from services.common.rpc.channel import open_channel
from services.common.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from services.common.errors import CofferError
    from tests.fakes.rewrap_stand import Stand


class Admin:
    """Calls as an administrator of one tenant."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        self._stub = rewrap_pb2_grpc.RewrapServiceStub(channel)
        self._metadata = [("authorization", f"Bearer {token}")] if token else []

    async def list(self, **fields: Any) -> Any:
        return await self._call(self._stub.ListRewraps, rewrap_pb2.ListRewrapsRequest(**fields))

    async def get(self, lease_id: int) -> Any:
        return await self._call(self._stub.GetRewrap, rewrap_pb2.GetRewrapRequest(id=lease_id))

    async def start(self, throttle: int | None = None, key: str | None = None) -> Any:
        request = rewrap_pb2.StartRewrapRequest(throttle_per_second=throttle)
        return await self._call(self._stub.StartRewrap, request, key)

    async def pause(self, lease_id: int, key: str | None = None) -> Any:
        return await self._call(
            self._stub.PauseRewrap, rewrap_pb2.PauseRewrapRequest(id=lease_id), key
        )

    async def resume(self, lease_id: int, key: str | None = None) -> Any:
        return await self._call(
            self._stub.ResumeRewrap, rewrap_pb2.ResumeRewrapRequest(id=lease_id), key
        )

    async def cancel(self, lease_id: int, key: str | None = None) -> Any:
        return await self._call(
            self._stub.CancelRewrap, rewrap_pb2.CancelRewrapRequest(id=lease_id), key
        )

    async def throttle(
        self,
        lease_id: int,
        per_second: int | None,
        mask: tuple[str, ...] = ("throttle_per_second",),
        key: str | None = None,
    ) -> Any:
        request = rewrap_pb2.UpdateRewrapRequest(
            id=lease_id, throttle_per_second=per_second, update_mask=FieldMask(paths=mask)
        )
        return await self._call(self._stub.UpdateRewrap, request, key)

    async def _call(self, method: Any, request: Any, key: str | None = None) -> Any:
        metadata = [*self._metadata, *([("idempotency-key", key)] if key else [])]
        return await method(request, metadata=metadata, timeout=20)


async def refused(call: Any) -> CofferError:
    """What a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return from_rpc_error(refusal.value)


@contextlib.asynccontextmanager
async def admin(
    stand: Stand, tenant: UUID | None, role: str = "owner", **settings: str
) -> AsyncIterator[Admin]:
    """With a rewrap of its own, which has these settings."""
    async with stand.within(**settings) as target, calling(stand, target, tenant, role) as caller:
        yield caller


@contextlib.asynccontextmanager
async def calling(
    stand: Stand, target: str, tenant: UUID | None, role: str = "owner"
) -> AsyncIterator[Admin]:
    token = stand.pki.issuer.admin_token(tenant, role) if tenant else None
    channel = open_channel(target, stand.pki.tls("gateway"))
    try:
        yield Admin(channel, token)
    finally:
        await channel.close()


def turn(stand: Stand, tenant: UUID, version: int) -> None:
    """Make this version the active one, as if it had been so when the keys were counted."""
    stand.database.execute(
        "update kms.master_key set status = 'retired' where tenant_id = %s", (tenant,)
    )
    stand.database.execute(
        "insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped, check_value, status)"
        " values (%s, %s, %s, 'global', '\\x00', decode(repeat('00', 32), 'hex'), 'active')",
        (tenant, version, uuid.uuid4()),
    )


def rotate(stand: Stand, tenant: UUID, version: int) -> int:
    """Rotate as kms does, in one transaction that holds the key ring; the lease."""
    with psycopg.connect(stand.database.dsn("coffer_kms")) as connection:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant),))
        connection.execute("select kms.take_ring(%s)", (tenant,))
        connection.execute(
            "update kms.master_key set status = 'retired' where tenant_id = %s and status = 'active'",
            (tenant,),
        )
        connection.execute(
            "insert into kms.master_key"
            " (tenant_id, version, id, wrap_method, wrapped, check_value, status)"
            " values (%s, %s, %s, 'global', '\\x00', decode(repeat('00', 32), 'hex'), 'active')",
            (tenant, version, uuid.uuid4()),
        )
        row = connection.execute(
            "select rewrap.issue_lease(%s, %s, 'rotate')", (tenant, version)
        ).fetchone()
    assert row is not None
    return int(row[0])
