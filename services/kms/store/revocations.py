"""Erasing a version: the one transaction in which its bytes go and its receipt comes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common import audit
from services.common.authentication import find_tenant
from services.common.errors import KeyActiveError, KeyInUseError, NotFoundError
from services.common.idempotency import store as idempotency_store
from services.kms.keys.announcements import CHANNEL, Announcement, Kind
from services.kms.model import Erasure, KeyStatus, WrapMethod
from services.kms.store import ring
from services.kms.store.counting import Counting, allow_counting

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import Call, Tenant

_FIND: Final = """
    select k.id, k.binding_id, k.wrap_method, k.status, b.provider, k.provider_key_version,
        k.created_at, k.retired_at
    from kms.master_key k
    left join kms.binding b on b.tenant_id = k.tenant_id and b.id = k.binding_id
    where k.tenant_id = %s and k.version = %s
"""
_CENSUS: Final = "select data_keys from secrets.census(%s) where key_version = %s"
_ERASE: Final = """
    update kms.master_key set status = 'revoked', wrapped = null, revoked_at = clock_timestamp()
    where tenant_id = %s and version = %s returning revoked_at
"""
_RECEIPT: Final = "select jws from kms.receipt where tenant_id = %s and version = %s"
_KEEP: Final = "insert into kms.receipt (tenant_id, version, key_id, jws) values (%s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class _Version:
    """What is read of the version that is to go."""

    version: int
    id: UUID
    binding_id: UUID | None
    wrap_method: WrapMethod
    status: KeyStatus
    provider: str | None
    kms_key_ref: str | None
    created_at: datetime
    retired_at: datetime | None


class Revocations:
    """Implements RevocationStore. `sender` names this process in announcements."""

    def __init__(self, database: Database, sender: str, counting: Counting | None = None) -> None:
        """`counting` is the process's, for all who count."""
        self._database = database
        self._sender = sender
        self._counting = counting or Counting()

    async def erase(
        self, call: Call, version: int, *, force: bool, sign: Callable[[Erasure], str]
    ) -> str:
        """See RevocationStore."""
        tenant_id = call.tenant
        # Without the ring, for which the tenant's writers wait. None means none for ever, see `_count`.
        needed = await self._count(tenant_id, version)
        if needed and not force:
            raise KeyInUseError(version, needed)
        async with contextlib.AsyncExitStack() as held:
            if needed:
                await held.enter_async_context(self._counting.place(tenant_id))
            connection = await held.enter_async_context(self._database.tenant(tenant_id))
            tenant = await find_tenant(connection, tenant_id)
            if tenant is None:
                raise NotFoundError("No such tenant.")
            await ring.take_ring(connection, tenant_id)
            found = await _find(connection, tenant_id, version)
            if found.status is KeyStatus.REVOKED:
                row = await ring.one(connection, _RECEIPT, tenant_id, version)
                assert row is not None
                given = str(row[0])
                await idempotency_store.complete(connection, "kms", tenant_id, [(call, given)])
                return given
            # Some may have been moved away since; while the ring is held nothing is, so this is exact.
            data_keys = await _census(connection, tenant_id, version) if needed else 0
            erasure = await _erase(connection, call, tenant, found, data_keys)
            receipt = sign(erasure)
            await connection.execute(_KEEP, (tenant_id, version, erasure.key_id, receipt))
            told = Announcement(Kind.REVOKED, tenant_id, found.binding_id, self._sender, version)
            await connection.execute("select pg_notify(%s, %s)", (CHANNEL, told.encode()))
            await idempotency_store.complete(connection, "kms", tenant_id, [(call, receipt)])
            await audit.append(connection, tenant_id, call, [_event(erasure)])
        return receipt

    async def _count(self, tenant_id: UUID, version: int) -> int:
        """How many data keys a version wraps, 0 for an erased one. Raises NotFoundError, KeyActiveError.

        Of a version that was seen retired the number only falls. Whoever stores a data key holds the ring
        shared, and whoever retires a version exclusively: so what had been stored under it is committed
        before it is seen retired, and after that `kms.hold_active` refuses. Nor does it become active again.
        """
        async with self._counting.place(tenant_id), self._database.tenant(tenant_id) as connection:
            if await find_tenant(connection, tenant_id) is None:
                raise NotFoundError("No such tenant.")
            found = await _find(connection, tenant_id, version)
            if found.status is KeyStatus.ACTIVE:
                raise KeyActiveError(version)
            if found.status is KeyStatus.REVOKED:
                return 0
            return await _census(connection, tenant_id, version)

    async def receipt(self, tenant_id: UUID, version: int) -> str | None:
        """See RevocationStore."""
        async with self._database.tenant(tenant_id) as connection:
            row = await ring.one(connection, _RECEIPT, tenant_id, version)
        return None if row is None else str(row[0])


async def _find(connection: Connection, tenant_id: UUID, version: int) -> _Version:
    row = await ring.one(connection, _FIND, tenant_id, version)
    if row is None:
        raise NotFoundError("There is no such key version.")
    key_id, binding_id, method, status, *rest = row
    return _Version(version, key_id, binding_id, WrapMethod(method), KeyStatus(status), *rest)


async def _census(connection: Connection, tenant_id: UUID, version: int) -> int:
    await allow_counting(connection)
    row = await ring.one(connection, _CENSUS, tenant_id, version)
    return 0 if row is None else int(row[0])


async def _erase(
    connection: Connection, call: Call, tenant: Tenant, found: _Version, data_keys: int
) -> Erasure:
    """Wipe the bytes, and let nothing be kept that was read of the ring before: a load may be under way."""
    row = await ring.one(connection, _ERASE, tenant.id, found.version)
    assert row is not None
    await ring.move_epoch(connection, tenant.id)
    customers = found.wrap_method is WrapMethod.CUSTOMER_KMS
    return Erasure(
        tenant_id=tenant.id,
        tenant_slug=tenant.slug,
        key_id=found.id,
        version=found.version,
        wrap_method=found.wrap_method,
        provider=found.provider if customers else None,
        kms_key_ref=found.kms_key_ref if customers else None,
        created_at=found.created_at,
        retired_at=found.retired_at,
        revoked_at=row[0],
        data_keys=data_keys,
        forced=data_keys > 0,
        actor=call.actor,
        request_id=call.request_id,
    )


def _event(erasure: Erasure) -> audit.Event:
    facts = {
        "version": erasure.version,
        "wrap_method": str(erasure.wrap_method),
        "data_keys_lost": erasure.data_keys,
        "forced": erasure.forced,
    }
    return audit.Event("kms.key.revoked", "master_key", str(erasure.key_id), facts)
