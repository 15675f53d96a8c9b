"""Emptying an environment that is about to be deleted: only deleted secrets may have anything there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common import audit
from services.secrets.store import purges
from services.secrets.store.rebasing import rebase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.common.database import Connection
    from services.secrets.groups import EnvironmentRow

_IN_USE: Final = """
select from secrets.secret_environment v
join secrets.secret s on s.tenant_id = v.tenant_id and s.id = v.secret_id
where v.tenant_id = %(tenant)s and v.environment_id = %(environment)s
  and v.deleted_at is null and s.deleted_at is null
limit 1
"""
# Of live secrets only counters of removed values can be there. Who wants to store a value there again waits
# for the environment, so they need not be held, and must not: such a writer may hold its secret already.
_HOLD: Final = """
select s.id, s.name, (select c.value_version from secrets.secret_environment c
    where c.tenant_id = s.tenant_id and c.secret_id = s.id and c.environment_id = %(environment)s)
from secrets.secret s
where s.tenant_id = %(tenant)s and s.deleted_at is not null
  and (s.base_environment_id = %(environment)s or s.id in (
    select v.secret_id from secrets.secret_environment v
    where v.tenant_id = %(tenant)s and v.environment_id = %(environment)s))
order by s.id for update of s
"""
_WITHOUT_HOME: Final = """
select s.id from secrets.secret s
where s.tenant_id = %(tenant)s and s.base_environment_id = %(environment)s
order by s.id
"""
_FORGET: Final = """
delete from secrets.secret_environment v
where v.tenant_id = %(tenant)s and v.environment_id = %(environment)s
"""


async def is_in_use(connection: Connection, tenant_id: UUID, environment_id: UUID) -> bool:
    """Whether a live secret has a value there."""
    parameters = {"tenant": tenant_id, "environment": environment_id}
    return await (await connection.execute(_IN_USE, parameters)).fetchone() is not None


async def empty_environment(
    connection: Connection, tenant_id: UUID, row: EnvironmentRow
) -> list[audit.Event]:
    """Remove all that is stored there, and give the secrets that were made there another base.

    Returns an event for each secret that lost its value there, that has another base now, and that was
    purged because it has no value anywhere else. The caller holds the usage row and the environment for
    update and has found it not in use: so no value is stored there and no secret restored before the
    transaction ends.
    """
    parameters = {"tenant": tenant_id, "environment": row.id}
    cursor = await connection.execute(_HOLD, parameters)
    held = {found: (name, version) async for found, name, version in cursor}
    moved = await rebase(connection, tenant_id, list(held), row)
    rebased = [
        _event("secret.rebased", found, {"name": held[found][0], "from": row.name, "to": base})
        for found, base in moved.items()
    ]
    cursor = await connection.execute(_WITHOUT_HOME, parameters)
    homeless = [secret_id async for (secret_id,) in cursor]
    purged = await purges.purge(connection, tenant_id, homeless)
    erased = await purges.erase_values(connection, tenant_id, list(held), row.id)
    await connection.execute(_FORGET, parameters)
    removed = []
    for secret_id, versions in erased.items():
        name, version = held[secret_id]
        details = {
            "name": name,
            "environment": row.name,
            "value_version": version,
            "versions": versions,
        }
        removed.append(_event("secret.environment_removed", secret_id, details))
    return [*removed, *rebased, *purged]


def _event(action: str, secret_id: UUID, details: Mapping[str, object]) -> audit.Event:
    return audit.Event(action, "secret", str(secret_id), details)
