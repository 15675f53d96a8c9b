"""Removing values for ever: their versions and with them their data keys, and secrets altogether.

Data keys are locked in the order of their ids, which is the order in which a rewrap locks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common import audit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.database import Connection

_LOCK_KEYS: Final = """
select from secrets.data_key d
where d.tenant_id = %(tenant)b and d.id = any (array(
    select v.data_key_id from secrets.value_version v
    where v.tenant_id = %(tenant)b and v.secret_id = any (%(secrets)b::uuid[])
      and (%(environment)t::uuid is null or v.environment_id = %(environment)t::uuid)))
order by d.id for update
"""
_ERASE: Final = """
with versions as (
    delete from secrets.value_version v
    where v.tenant_id = %(tenant)b and v.secret_id = any (%(secrets)b::uuid[])
      and (%(environment)t::uuid is null or v.environment_id = %(environment)t::uuid)
    returning v.secret_id, v.data_key_id
), keys as (
    delete from secrets.data_key d
    where d.tenant_id = %(tenant)b and d.id = any (array(select data_key_id from versions))
)
select secret_id, count(*) from versions group by secret_id
"""
_LOCK_DELETED: Final = """
select s.id, s.name from secrets.secret s
where s.tenant_id = %(tenant)b and s.id = any (%(secrets)b::uuid[]) and s.deleted_at is not null
order by s.id for update
"""
_REMOVE: Final = (
    """
    delete from secrets.secret_environment v
    where v.tenant_id = %(tenant)b and v.secret_id = any (%(secrets)b::uuid[])
    """,
    """
    delete from secrets.secret s
    where s.tenant_id = %(tenant)b and s.id = any (%(secrets)b::uuid[])
    """,
)


async def erase_values(
    connection: Connection,
    tenant_id: UUID,
    secret_ids: Sequence[UUID],
    environment_id: UUID | None = None,
) -> dict[UUID, int]:
    """Remove all value versions of these secrets and their data keys, in one environment or in all.

    Their rows in `secret_environment`, which count the versions, stay as they are. Returns how many
    versions each secret had there; secrets without any are left out. The caller holds the secrets' rows.
    """
    parameters = {
        "tenant": tenant_id,
        "secrets": list(secret_ids),
        "environment": environment_id,
    }
    await connection.execute(_LOCK_KEYS, parameters, prepare=True)
    cursor = await connection.execute(_ERASE, parameters, prepare=True)
    return {found: count async for found, count in cursor}


async def purge(
    connection: Connection, tenant_id: UUID, secret_ids: Sequence[UUID]
) -> list[audit.Event]:
    """Remove deleted secrets, all their values and data keys; others of `secret_ids` are passed over.

    Works in the transaction of `connection`, held to the tenant. The caller must append the events that
    this returns, one for each secret that is gone, at the end of the transaction. The count of live secrets
    does not change.
    """
    parameters = {"tenant": tenant_id, "secrets": list(secret_ids)}
    cursor = await connection.execute(_LOCK_DELETED, parameters, prepare=True)
    names = {found: name async for found, name in cursor}
    if not names:
        return []
    versions = await erase_values(connection, tenant_id, list(names))
    parameters = {"tenant": tenant_id, "secrets": list(names)}
    for statement in _REMOVE:
        await connection.execute(statement, parameters, prepare=True)
    return [
        audit.Event(
            "secret.purged",
            "secret",
            str(secret_id),
            {"name": name, "versions": versions.get(secret_id, 0)},
        )
        for secret_id, name in names.items()
    ]
