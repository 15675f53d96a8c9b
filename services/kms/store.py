"""Key rings in PostgreSQL, through psycopg. The only file of kms that knows SQL.

Every transaction is held to its tenant. Lock order: key ring, ring row, bindings and keys, lease, audit head.
A change takes the ring in a statement of its own, so that the next one sees what its last holder committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg.types.json import Jsonb

from services.common import audit
from services.common.authentication import consume_step_up, find_tenant
from services.common.errors import NotFoundError
from services.kms.announcements import CHANNEL, Announcement, Kind
from services.kms.model import (
    Activated,
    Binding,
    KeyLookup,
    KeyReport,
    KeyStatus,
    KmsTarget,
    LeaseReason,
    MasterKeyRow,
    TenantKms,
    WrapMethod,
    Wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import Call, StepUp, Tenant
    from services.kms.model import NewMasterKey, Reason

_KEY_COLUMNS: Final = (
    "k.tenant_id, k.version, k.id, k.wrap_method, k.wrapped, k.provider_key_version,"
    " k.check_value, k.status"
)
_KEY_WIDTH: Final = 8
_BINDING_COLUMNS: Final = (
    "b.tenant_id, b.id, b.provider, b.kms_key_ref, b.config, b.resolved_key_ref,"
    " b.replaced_at is not null, b.sealed_since, b.last_verified_at, b.last_verify_error"
)

_FIND_KEY: Final = f"""
    select {_KEY_COLUMNS}, r.epoch, {_BINDING_COLUMNS}
    from kms.master_key k join kms.key_ring r on r.tenant_id = k.tenant_id
    left join kms.binding b on b.tenant_id = k.tenant_id and b.id = k.binding_id
    where k.tenant_id = %s and k.version = %s
"""  # noqa: S608 - constants
_FIND_ACTIVE: Final = f"""
    select {_KEY_COLUMNS} from kms.master_key k where tenant_id = %s and status = 'active'
"""  # noqa: S608 - constants
_FIND_CURRENT: Final = f"""
    select {_BINDING_COLUMNS} from kms.key_ring r
    join kms.binding b on b.tenant_id = r.tenant_id and b.id = r.current_binding_id
    where r.tenant_id = %s
"""  # noqa: S608 - constants


class Store:
    """Implements KeyStore, BindingStore and Registry. `sender` names this process in announcements."""

    def __init__(self, database: Database, sender: str) -> None:
        self._database = database
        self._sender = sender

    async def active_version(self, tenant_id: UUID) -> int | None:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            return await _active_version(connection, tenant_id)

    async def find_key(self, tenant_id: UUID, version: int) -> KeyLookup | None:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            row = await _one(connection, _FIND_KEY, tenant_id, version)
        if row is None:
            return None
        binding = row[_KEY_WIDTH + 1 :]
        return KeyLookup(
            row=_key(row[:_KEY_WIDTH]),
            binding=None if binding[0] is None else _binding(binding),
            epoch=row[_KEY_WIDTH],
        )

    async def epoch(self, tenant_id: UUID) -> int:
        """See KeyStore."""
        query = "select epoch from kms.key_ring where tenant_id = %s"
        async with self._database.tenant(tenant_id) as connection:
            row = await _one(connection, query, tenant_id)
        return 0 if row is None else int(row[0])

    async def create_first(self, call: Call, tenant_id: UUID, new: NewMasterKey) -> MasterKeyRow:
        """See KeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            if await find_tenant(connection, tenant_id) is None:
                raise NotFoundError("No such tenant.")
            await _take_ring(connection, tenant_id)
            row = await _one(connection, _FIND_ACTIVE, tenant_id)
            if row is not None:
                return _key(row)
            version = await _activate(connection, tenant_id, new, None)
            event = _key_event("kms.key.created", new, version)
            await audit.append(connection, tenant_id, call, [event])
        return MasterKeyRow(
            tenant_id, version, new.id, new.wrap_method, new.wrapped, new.check_value
        )

    async def seal(self, call: Call, binding: Binding, reason: Reason) -> None:
        """See KeyStore."""
        tenant_id = binding.tenant_id
        async with self._database.tenant(tenant_id) as connection:
            await _take_ring(connection, tenant_id)
            row = await _one(
                connection,
                "select sealed_since from kms.binding where tenant_id = %s and id = %s for update",
                tenant_id,
                binding.id,
            )
            await connection.execute(
                "update kms.binding set sealed_since = coalesce(sealed_since, clock_timestamp()),"
                " last_verify_error = %s where tenant_id = %s and id = %s",
                (reason, tenant_id, binding.id),
            )
            if row is None or row[0] is not None:
                return
            if reason.definite:
                await _move_epoch(connection, tenant_id)
                await self._announce(connection, Kind.REFUSED, binding)
            event = audit.Event(
                "kms.sealed", "kms_binding", str(binding.id), {"reason": str(reason)}
            )
            await audit.append(connection, tenant_id, call, [event])

    async def unseal(self, call: Call, binding: Binding) -> None:
        """See KeyStore."""
        tenant_id = binding.tenant_id
        async with self._database.tenant(tenant_id) as connection:
            row = await _one(
                connection,
                "update kms.binding set sealed_since = null, last_verified_at = clock_timestamp(),"
                " last_verify_error = null where tenant_id = %s and id = %s"
                " and sealed_since is not null returning id",
                tenant_id,
                binding.id,
            )
            if row is None:
                return
            await self._announce(connection, Kind.UNSEALED, binding)
            event = audit.Event("kms.unsealed", "kms_binding", str(binding.id))
            await audit.append(connection, tenant_id, call, [event])

    async def current(self, tenant_id: UUID) -> Binding | None:
        """See BindingStore."""
        async with self._database.tenant(tenant_id) as connection:
            return await _current(connection, tenant_id)

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
            await _take_ring(connection, tenant_id)
            current = await _current(connection, tenant_id)
            if not insist and (current.id if current else None) != instead_of:
                return None
            await _replace_binding(connection, current, binding)
            version = await _activate(connection, tenant_id, new, binding.id)
            lease_id = await _issue_lease(connection, tenant_id, version, LeaseReason.ONBOARD)
            await self._announce(connection, Kind.REPLACED, binding)
            await audit.append(
                connection, tenant_id, call, [_onboarded(binding, new, version, lease_id)]
            )
        return Activated(version, new.id, lease_id)

    async def rotate(self, call: Call, binding: Binding, new: NewMasterKey) -> Activated | None:
        """See BindingStore."""
        tenant_id = binding.tenant_id
        async with self._database.tenant(tenant_id) as connection:
            await _take_ring(connection, tenant_id)
            current = await _current(connection, tenant_id)
            if current is None or current.id != binding.id or current.sealed_since is not None:
                return None
            version = await _activate(connection, tenant_id, new, binding.id)
            lease_id = await _issue_lease(connection, tenant_id, version, LeaseReason.ROTATE)
            await self._announce(connection, Kind.ROTATED, binding)
            event = _key_event("kms.key.rotated", new, version, rewrap_lease_id=lease_id)
            await audit.append(connection, tenant_id, call, [event])
        return Activated(version, new.id, lease_id)

    async def describe(self, tenant_id: UUID) -> TenantKms | None:
        """See BindingStore."""
        query = (
            "select k.id, k.version, k.wrap_method, k.status, k.created_at, k.retired_at,"
            " coalesce(c.data_keys, 0)"
            " from kms.master_key k left join secrets.census(%s) c on c.key_version = k.version"
            " where k.tenant_id = %s order by k.version desc"
        )
        async with self._database.tenant(tenant_id) as connection:
            binding = await _current(connection, tenant_id)
            if binding is None:
                return None
            cursor = await connection.execute(query, (tenant_id, tenant_id))
            keys = [
                KeyReport(row[0], row[1], WrapMethod(row[2]), KeyStatus(row[3]), *row[4:])
                for row in await cursor.fetchall()
            ]
        return TenantKms(binding, tuple(keys))

    async def record_verification(self, binding: Binding, failure: Reason | None) -> None:
        """See BindingStore."""
        async with self._database.tenant(binding.tenant_id) as connection:
            await connection.execute(
                "update kms.binding set last_verify_error = %(failure)s, last_verified_at ="
                " case when %(failure)s::text is null then clock_timestamp() else last_verified_at end"
                " where tenant_id = %(tenant)s and id = %(id)s",
                {"failure": failure, "tenant": binding.tenant_id, "id": binding.id},
            )

    async def tenant(self, tenant_id: UUID) -> Tenant | None:
        """See Registry."""
        async with self._database.transaction() as connection:
            return await find_tenant(connection, tenant_id)

    async def consume_step_up(self, tenant_id: UUID, step_up: StepUp | None) -> None:
        """See Registry."""
        await consume_step_up(self._database, tenant_id, step_up)

    async def _announce(self, connection: Connection, kind: Kind, binding: Binding) -> None:
        payload = Announcement(kind, binding.tenant_id, binding.id, self._sender).encode()
        await connection.execute("select pg_notify(%s, %s)", (CHANNEL, payload))


async def _one(connection: Connection, query: str, *values: object) -> tuple[Any, ...] | None:
    cursor = await connection.execute(query.encode(), values)
    return await cursor.fetchone()


async def _take_ring(connection: Connection, tenant_id: UUID) -> None:
    await connection.execute("select kms.take_ring(%s)", (tenant_id,))
    await connection.execute(
        "insert into kms.key_ring (tenant_id) values (%s) on conflict do nothing", (tenant_id,)
    )


async def _move_epoch(connection: Connection, tenant_id: UUID) -> None:
    await connection.execute(
        "update kms.key_ring set epoch = epoch + 1 where tenant_id = %s", (tenant_id,)
    )


async def _active_version(connection: Connection, tenant_id: UUID) -> int | None:
    query = "select version from kms.master_key where tenant_id = %s and status = 'active'"
    row = await _one(connection, query, tenant_id)
    return None if row is None else int(row[0])


async def _current(connection: Connection, tenant_id: UUID) -> Binding | None:
    row = await _one(connection, _FIND_CURRENT, tenant_id)
    return None if row is None else _binding(row)


async def _replace_binding(
    connection: Connection, current: Binding | None, binding: Binding
) -> None:
    target, tenant_id = binding.target, binding.tenant_id
    await connection.execute(
        "insert into kms.binding (tenant_id, id, provider, kms_key_ref, resolved_key_ref, config,"
        " created_at, last_verified_at)"
        " values (%s, %s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp())",
        (
            tenant_id,
            binding.id,
            target.provider,
            target.kms_key_ref,
            target.resolved_key_ref,
            Jsonb(dict(target.config)),
        ),
    )
    if current is not None:
        await connection.execute(
            "update kms.binding set replaced_at = clock_timestamp()"
            " where tenant_id = %s and id = %s",
            (tenant_id, current.id),
        )
    await connection.execute(
        "update kms.key_ring set current_binding_id = %s, epoch = epoch + 1 where tenant_id = %s",
        (binding.id, tenant_id),
    )


async def _activate(
    connection: Connection, tenant_id: UUID, new: NewMasterKey, binding_id: UUID | None
) -> int:
    """Retire the active version and store `new` as the next one. The ring is held."""
    row = await _one(
        connection,
        "update kms.key_ring set next_version = next_version + 1 where tenant_id = %s"
        " returning next_version - 1",
        tenant_id,
    )
    assert row is not None
    version = int(row[0])
    await connection.execute(
        "update kms.master_key set status = 'retired', retired_at = clock_timestamp()"
        " where tenant_id = %s and status = 'active'",
        (tenant_id,),
    )
    await connection.execute(
        "insert into kms.master_key (tenant_id, version, id, wrap_method, binding_id, wrapped,"
        " provider_key_version, check_value, status, created_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, 'active', clock_timestamp())",
        (
            tenant_id,
            version,
            new.id,
            new.wrap_method,
            binding_id,
            new.wrapped.blob,
            new.wrapped.key_ref,
            new.check_value,
        ),
    )
    return version


async def _issue_lease(
    connection: Connection, tenant_id: UUID, version: int, reason: LeaseReason
) -> int:
    query = "select rewrap.issue_lease(%s, %s, %s)"
    row = await _one(connection, query, tenant_id, version, reason)
    assert row is not None
    return int(row[0])


def _key(row: Sequence[Any]) -> MasterKeyRow:
    tenant_id, version, key_id, method, blob, key_ref, check_value, status = row
    wrapped = None if blob is None else Wrapped(bytes(blob), key_ref)
    return MasterKeyRow(
        tenant_id,
        version,
        key_id,
        WrapMethod(method),
        wrapped,
        bytes(check_value),
        KeyStatus(status),
    )


def _binding(row: Sequence[Any]) -> Binding:
    tenant_id, binding_id, provider, key_ref, config, resolved, *state = row
    target = KmsTarget(provider, key_ref, config, resolved)
    return Binding(tenant_id, binding_id, target, *state)


def _key_event(action: str, new: NewMasterKey, version: int, **details: object) -> audit.Event:
    facts = {"version": version, "wrap_method": str(new.wrap_method), **details}
    return audit.Event(action, "master_key", str(new.id), facts)


def _onboarded(binding: Binding, new: NewMasterKey, version: int, lease_id: int) -> audit.Event:
    return _key_event(
        "kms.onboarded",
        new,
        version,
        binding_id=str(binding.id),
        provider=binding.target.provider,
        kms_key_ref=binding.target.kms_key_ref,
        rewrap_lease_id=lease_id,
    )
