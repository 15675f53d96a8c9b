"""Statements about what still needs a wrapping key, and about the way back to the platform's key.

Each runs in the caller's transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.kms.store.counting import allow_counting
from services.kms.store.ring import one

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Connection

_IS_ACTIVE: Final = """
    select exists (select from kms.master_key k
        where k.tenant_id = %(tenant)s and k.version = %(version)s and k.status = 'active')
"""
_IS_CURRENT: Final = """
    select exists (select from kms.key_ring r
        where r.tenant_id = %(tenant)s and r.current_binding_id = %(binding)s)
"""
# With `case`, so that nothing is counted where the answer is known.
_VERSION_NEEDED: Final = f"""
    select case when ({_IS_ACTIVE}) then true else exists (
        select from secrets.census(%(tenant)s) c
        where c.key_version = %(version)s and c.data_keys > 0) end
"""  # noqa: S608 - constants
_BINDING_NEEDED: Final = f"""
    select case when ({_IS_CURRENT}) then true else exists (
        select from kms.master_key k join secrets.census(%(tenant)s) c
        on c.key_version = k.version and c.data_keys > 0
        where k.tenant_id = %(tenant)s and k.binding_id = %(binding)s) end
"""  # noqa: S608 - constants
_NEWEST_UNDER: Final = """
    select max(k.version) from kms.master_key k
    where k.tenant_id = %s and k.binding_id = %s and k.status <> 'revoked'
"""
_DRAINED: Final = """
    select case when r.draining and not exists (
        select from kms.master_key k join secrets.census(%(tenant)s) c
        on c.key_version = k.version and c.data_keys > 0
        where k.tenant_id = %(tenant)s and k.binding_id is not null) then r.current_binding_id end
    from kms.key_ring r where r.tenant_id = %(tenant)s and r.draining
"""


async def is_active(connection: Connection, tenant_id: UUID, version: int) -> bool:
    """Whether a version is active. Counts nothing."""
    return await _true(connection, _IS_ACTIVE, tenant=tenant_id, version=version)


async def is_current(connection: Connection, tenant_id: UUID, binding_id: UUID) -> bool:
    """Whether a binding is current. Counts nothing."""
    return await _true(connection, _IS_CURRENT, tenant=tenant_id, binding=binding_id)


async def version_needed(connection: Connection, tenant_id: UUID, version: int) -> bool:
    """Whether a version is active, or wraps a stored data key. False for one that does not exist."""
    await allow_counting(connection)
    return await _true(connection, _VERSION_NEEDED, tenant=tenant_id, version=version)


async def binding_needed(connection: Connection, tenant_id: UUID, binding_id: UUID) -> bool:
    """Whether a binding is current, or one of its versions wraps a stored data key."""
    await allow_counting(connection)
    return await _true(connection, _BINDING_NEEDED, tenant=tenant_id, binding=binding_id)


async def newest_under(connection: Connection, tenant_id: UUID, binding_id: UUID) -> int | None:
    """The newest version that a binding wraps, None when all of them were revoked."""
    row = await one(connection, _NEWEST_UNDER, tenant_id, binding_id)
    return None if row is None else row[0]


async def begin(connection: Connection, tenant_id: UUID) -> None:
    """The current binding is left as soon as nothing needs it. The ring is held."""
    await connection.execute(
        "update kms.key_ring set draining = true where tenant_id = %s", (tenant_id,)
    )


async def drained(connection: Connection, tenant_id: UUID) -> UUID | None:
    """The binding that is being left, if no stored data key needs any customer's key.

    Final for as long as that binding is current and draining: then the active version is the platform's.
    Who stores a data key holds the ring shared, and who retires a version exclusively, so what was stored
    under the customers' versions was there to be counted, and nothing is added. A binding that is made
    current is always a new one.
    """
    await allow_counting(connection)
    cursor = await connection.execute(_DRAINED.encode(), {"tenant": tenant_id})
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def leave(connection: Connection, tenant_id: UUID, binding_id: UUID) -> None:
    """The tenant has no customer's key any more. The ring is held."""
    await connection.execute(
        "update kms.binding set replaced_at = clock_timestamp() where tenant_id = %s and id = %s",
        (tenant_id, binding_id),
    )
    await connection.execute(
        "update kms.key_ring set current_binding_id = null, draining = false, epoch = epoch + 1"
        " where tenant_id = %s",
        (tenant_id,),
    )


async def rings(connection: Connection, limit: int) -> list[UUID]:
    """At most `limit` tenants whose rings are draining, of all, any of them."""
    cursor = await connection.execute("select * from kms.draining_rings(%s)", (limit,))
    return [row[0] for row in await cursor.fetchall()]


async def _true(connection: Connection, query: str, **values: object) -> bool:
    cursor = await connection.execute(query.encode(), values)
    row = await cursor.fetchone()
    return row is not None and bool(row[0])
