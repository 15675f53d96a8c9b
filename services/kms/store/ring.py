"""Statements about one tenant's ring. Each runs in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from services.kms.store import rows

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Connection
    from services.kms.model import Binding, LeaseReason, NewMasterKey


async def one(connection: Connection, query: str, *values: object) -> tuple[Any, ...] | None:
    """The first row that a constant statement gives."""
    cursor = await connection.execute(query.encode(), values)
    return await cursor.fetchone()


async def take_ring(connection: Connection, tenant_id: UUID) -> None:
    """Hold the tenant's ring until the end of the transaction; it is there from now on."""
    await connection.execute("select kms.take_ring(%s)", (tenant_id,))
    await connection.execute(
        "insert into kms.key_ring (tenant_id) values (%s) on conflict do nothing", (tenant_id,)
    )


async def read_epoch(connection: Connection, tenant_id: UUID) -> int:
    """The ring's epoch; 0 where there is no ring yet."""
    row = await one(connection, "select epoch from kms.key_ring where tenant_id = %s", tenant_id)
    return 0 if row is None else int(row[0])


async def move_epoch(connection: Connection, tenant_id: UUID) -> None:
    """What was read before must not be kept."""
    await connection.execute(
        "update kms.key_ring set epoch = epoch + 1 where tenant_id = %s", (tenant_id,)
    )


async def active_version(connection: Connection, tenant_id: UUID) -> int | None:
    """The active version, None where there is none."""
    query = "select version from kms.master_key where tenant_id = %s and status = 'active'"
    row = await one(connection, query, tenant_id)
    return None if row is None else int(row[0])


async def current(connection: Connection, tenant_id: UUID) -> Binding | None:
    """The current binding."""
    row = await one(connection, rows.FIND_CURRENT, tenant_id)
    return None if row is None else rows.binding(row)


async def replace_binding(
    connection: Connection, current: Binding | None, binding: Binding
) -> None:
    """Make `binding` current; the ring is not draining any more. The ring is held."""
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
        "update kms.key_ring set current_binding_id = %s, draining = false, epoch = epoch + 1"
        " where tenant_id = %s",
        (binding.id, tenant_id),
    )


async def activate(
    connection: Connection, tenant_id: UUID, new: NewMasterKey, binding_id: UUID | None
) -> int:
    """Retire the active version and store `new` as the next one. The ring is held."""
    row = await one(
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


async def issue_lease(
    connection: Connection, tenant_id: UUID, version: int, reason: LeaseReason
) -> int:
    """The id of a new lease, which supersedes older ones."""
    query = "select rewrap.issue_lease(%s, %s, %s)"
    row = await one(connection, query, tenant_id, version, reason)
    assert row is not None
    return int(row[0])
