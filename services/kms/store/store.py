"""The ports of kms over a database: which statements make one transaction."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from services.common import audit
from services.common.authentication import consume_step_up, find_tenant
from services.common.errors import NotFoundError
from services.common.idempotency import store as idempotency_store
from services.kms.keys.announcements import CHANNEL, Announcement, Kind
from services.kms.model import (
    Activated,
    Binding,
    KeyLookup,
    LeaseReason,
    MasterKeyRow,
    Onboarded,
    Proof,
    TenantKms,
)
from services.kms.store import draining, ring, rows, seals
from services.kms.store.counting import Counting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import Call, StepUp, Tenant
    from services.kms.model import NewMasterKey, Reason, SealedKey


class Store:
    """Implements KeyStore, BindingStore and Registry. `sender` names this process in announcements."""

    def __init__(self, database: Database, sender: str, counting: Counting | None = None) -> None:
        """`counting` is the process's, for all who count."""
        self._database = database
        self._sender = sender
        self._counting = counting or Counting()

    async def active_version(self, tenant_id: UUID) -> int | None:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            return await ring.active_version(connection, tenant_id)

    async def find_key(self, tenant_id: UUID, version: int) -> KeyLookup | None:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            row = await ring.one(connection, rows.FIND_KEY, tenant_id, version)
        return None if row is None else rows.lookup(row)

    async def epoch(self, tenant_id: UUID) -> int:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            return await ring.read_epoch(connection, tenant_id)

    async def create_first(self, call: Call, tenant_id: UUID, new: NewMasterKey) -> MasterKeyRow:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            if await find_tenant(connection, tenant_id) is None:
                raise NotFoundError("No such tenant.")
            await ring.take_ring(connection, tenant_id)
            row = await ring.one(connection, rows.FIND_ACTIVE, tenant_id)
            if row is not None:
                return rows.key(row)
            version = await ring.activate(connection, tenant_id, new, None)
            event = _key_event("kms.key.created", new, version)
            await audit.append(connection, tenant_id, call, [event])
        return MasterKeyRow(
            tenant_id, version, new.id, new.wrap_method, new.wrapped, new.check_value
        )

    async def seal(self, call: Call, binding: Binding, reason: Reason) -> None:
        """See KeyStore."""
        async with self._database.tenant(binding.tenant_id) as connection:
            await ring.take_ring(connection, binding.tenant_id)
            before = await seals.seal(connection, binding, reason)
            if before is None:
                return
            if reason.definite:
                await ring.move_epoch(connection, binding.tenant_id)
                if not before.refused:
                    await self._announce(connection, Kind.REFUSED, binding)
            if before.sealed_since is None or (reason.definite and not before.refused):
                event = audit.Event(
                    "kms.sealed", "kms_binding", str(binding.id), {"reason": str(reason)}
                )
                await audit.append(connection, binding.tenant_id, call, [event])

    async def tell_refused(self, binding: Binding, version: int) -> None:
        """See KeyStore."""
        async with self._database.tenant(binding.tenant_id) as connection:
            await self._announce(connection, Kind.VERSION_REFUSED, binding, version)

    async def unseal(self, call: Call, binding: Binding, epoch: int) -> bool:
        """See KeyStore."""
        async with self._database.tenant(binding.tenant_id) as connection:
            await ring.take_ring(connection, binding.tenant_id)
            if await ring.read_epoch(connection, binding.tenant_id) != epoch:
                return False
            if await seals.unseal(connection, binding):
                await self._announce(connection, Kind.UNSEALED, binding)
                await _complete(connection, binding.tenant_id, call, None)
                event = audit.Event("kms.unsealed", "kms_binding", str(binding.id))
                await audit.append(connection, binding.tenant_id, call, [event])
        return True

    async def current(self, tenant_id: UUID) -> Binding | None:
        """See BindingStore."""
        async with self._database.tenant(tenant_id) as connection:
            return await ring.current(connection, tenant_id)

    async def onboard(
        self,
        call: Call,
        binding: Binding,
        new: NewMasterKey,
        *,
        instead_of: UUID | None,
        insist: bool = False,
    ) -> Activated | None:
        """See BindingStore."""
        tenant_id = binding.tenant_id
        async with self._database.tenant(tenant_id) as connection:
            await ring.take_ring(connection, tenant_id)
            current = await ring.current(connection, tenant_id)
            if not insist and (current.id if current else None) != instead_of:
                return None
            await ring.replace_binding(connection, current, binding)
            version = await ring.activate(connection, tenant_id, new, binding.id)
            lease_id = await ring.issue_lease(connection, tenant_id, version, LeaseReason.ONBOARD)
            done = Activated(version, new.id, lease_id)
            await self._announce(connection, Kind.REPLACED, binding)
            await _complete(connection, tenant_id, call, Onboarded(binding.target, done))
            event = _key_event("kms.onboarded", new, version, **_of(binding, lease_id))
            await audit.append(connection, tenant_id, call, [event])
        return done

    async def rotate(self, call: Call, binding: Binding, new: NewMasterKey) -> Activated | None:
        """See BindingStore."""
        tenant_id = binding.tenant_id
        async with self._database.tenant(tenant_id) as connection:
            await ring.take_ring(connection, tenant_id)
            current = await ring.current(connection, tenant_id)
            if current is None or current.id != binding.id:
                return None
            if current.sealed_since is not None or current.draining:
                return None
            version = await ring.activate(connection, tenant_id, new, binding.id)
            lease_id = await ring.issue_lease(connection, tenant_id, version, LeaseReason.ROTATE)
            done = Activated(version, new.id, lease_id)
            await self._announce(connection, Kind.ROTATED, binding)
            await _complete(connection, tenant_id, call, done)
            event = _key_event("kms.key.rotated", new, version, rewrap_lease_id=lease_id)
            await audit.append(connection, tenant_id, call, [event])
        return done

    async def offboard(self, call: Call, new: NewMasterKey) -> Activated | None:
        """See BindingStore."""
        tenant_id = call.tenant
        async with self._database.tenant(tenant_id) as connection:
            await ring.take_ring(connection, tenant_id)
            current = await ring.current(connection, tenant_id)
            if current is None or current.draining:
                return None
            version = await ring.activate(connection, tenant_id, new, None)
            lease_id = await ring.issue_lease(connection, tenant_id, version, LeaseReason.OFFBOARD)
            await draining.begin(connection, tenant_id)
            done = Activated(version, new.id, lease_id)
            await self._announce(connection, Kind.ROTATED, current)
            await _complete(connection, tenant_id, call, done)
            event = _key_event("kms.offboarded", new, version, **_of(current, lease_id))
            await audit.append(connection, tenant_id, call, [event])
        return done

    async def finish_draining(self, call: Call, tenant_id: UUID) -> Binding | None:
        """See BindingStore."""
        # Counted without the ring, for which the tenant's writers wait; it holds for as long as this binding
        # is the one that is being left.
        async with self._counted(tenant_id) as connection:
            drained = await draining.drained(connection, tenant_id)
        if drained is None:
            return None
        async with self._database.tenant(tenant_id) as connection:
            await ring.take_ring(connection, tenant_id)
            left = await ring.current(connection, tenant_id)
            if left is None or left.id != drained or not left.draining:
                return None
            await draining.leave(connection, tenant_id, left.id)
            await self._announce(connection, Kind.REPLACED, left)
            event = audit.Event(
                "kms.drained",
                "kms_binding",
                str(left.id),
                {"provider": left.target.provider, "kms_key_ref": left.target.kms_key_ref},
            )
            await audit.append(connection, tenant_id, call, [event])
        return left

    async def draining_rings(self, limit: int) -> list[UUID]:
        """See BindingStore."""
        async with self._database.transaction() as connection:
            return await draining.rings(connection, limit)

    async def version_needed(self, tenant_id: UUID, version: int) -> bool:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            if await draining.is_active(connection, tenant_id, version):
                return True
        async with self._counted(tenant_id) as connection:
            return await draining.version_needed(connection, tenant_id, version)

    async def binding_needed(self, tenant_id: UUID, binding_id: UUID) -> bool:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            if await draining.is_current(connection, tenant_id, binding_id):
                return True
        async with self._counted(tenant_id) as connection:
            return await draining.binding_needed(connection, tenant_id, binding_id)

    async def newest_under(self, tenant_id: UUID, binding_id: UUID) -> int | None:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            return await draining.newest_under(connection, tenant_id, binding_id)

    async def describe(self, tenant_id: UUID) -> TenantKms | None:
        """See BindingStore."""
        async with self._counted(tenant_id) as connection:
            cursor = await connection.execute(rows.DESCRIBE.encode(), (tenant_id, tenant_id))
            found = await cursor.fetchall()
        return rows.status(found) if found else None

    async def record_verification(
        self, call: Call, binding: Binding, outcome: Proof | Reason
    ) -> None:
        """See BindingStore."""
        failure = None if isinstance(outcome, Proof) else outcome
        async with self._database.tenant(binding.tenant_id) as connection:
            if not await seals.record_verification(connection, binding, failure):
                return
            if failure is None:
                await _complete(connection, binding.tenant_id, call, outcome)
            event = audit.Event(
                "kms.verified" if failure is None else "kms.verification_failed",
                "kms_binding",
                str(binding.id),
                {} if failure is None else {"reason": str(failure)},
            )
            await audit.append(connection, binding.tenant_id, call, [event])

    async def sealed_bindings(self, limit: int) -> list[SealedKey]:
        """See KeyStore."""
        async with self._database.transaction() as connection:
            return await seals.sealed(connection, limit)

    async def tenant(self, tenant_id: UUID) -> Tenant | None:
        """See Registry."""
        async with self._database.transaction() as connection:
            return await find_tenant(connection, tenant_id)

    async def consume_step_up(self, tenant_id: UUID, step_up: StepUp | None) -> None:
        """See Registry."""
        await consume_step_up(self._database, tenant_id, step_up)

    @contextlib.asynccontextmanager
    async def _counted(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """A transaction that may run a census."""
        async with self._counting.place(tenant_id), self._database.tenant(tenant_id) as connection:
            yield connection

    async def _announce(
        self, connection: Connection, kind: Kind, binding: Binding, version: int | None = None
    ) -> None:
        told = Announcement(kind, binding.tenant_id, binding.id, self._sender, version)
        await connection.execute("select pg_notify(%s, %s)", (CHANNEL, told.encode()))


async def _complete(connection: Connection, tenant_id: UUID, call: Call, outcome: object) -> None:
    await idempotency_store.complete(connection, "kms", tenant_id, [(call, outcome)])


def _key_event(action: str, new: NewMasterKey, version: int, **details: object) -> audit.Event:
    facts = {"version": version, "wrap_method": str(new.wrap_method), **details}
    return audit.Event(action, "master_key", str(new.id), facts)


def _of(binding: Binding, lease_id: int) -> dict[str, object]:
    return {
        "binding_id": str(binding.id),
        "provider": binding.target.provider,
        "kms_key_ref": binding.target.kms_key_ref,
        "rewrap_lease_id": lease_id,
    }
