"""Erasing values in parts, so that no transaction is without bounds however many versions there are.

Data keys are locked in the order of their ids, which is the order in which a rewrap locks them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common import audit

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Connection

MAX_VERSIONS: Final = 2000
"""Value versions that one transaction erases at most."""

_OLDEST: Final = """
select o.environment_id, max(o.value_version), array_agg(o.data_key_id) from (
    select v.environment_id, v.value_version, v.data_key_id from secrets.value_version v
    where v.tenant_id = %(tenant)b and v.secret_id = %(secret)b
      and (%(environment)t::uuid is null or v.environment_id = %(environment)t::uuid)
    order by v.environment_id, v.value_version limit %(limit)b::bigint
) o
group by o.environment_id order by o.environment_id limit 1
"""
_LOCK_KEYS: Final = """
select from secrets.data_key d
where d.tenant_id = %(tenant)b and d.id = any (%(keys)b::uuid[]) order by d.id for update
"""
# By nothing but the primary key's members: whatever plan is kept, none looks at the versions that stay.
_ERASE: Final = """
with versions as (
    delete from secrets.value_version v
    where v.tenant_id = %(tenant)b and v.secret_id = %(secret)b
      and v.environment_id = %(environment)b and v.value_version <= %(last)b::bigint
    returning v.data_key_id
), keys as (
    delete from secrets.data_key d
    where d.tenant_id = %(tenant)b and d.id = any (array(select data_key_id from versions))
)
select count(*) from versions
"""


async def erase_oldest(
    connection: Connection,
    tenant_id: UUID,
    secret_id: UUID,
    environment_id: UUID | None,
    limit: int,
) -> int:
    """Remove at most `limit` value versions of one secret and their data keys, the oldest ones first.

    Of one environment: the one that is named, or any. Returns how many are gone, at least one where there is
    one. Counters stay as they are. The caller holds the secret's row.
    """
    parameters: dict[str, object] = {
        "tenant": tenant_id,
        "secret": secret_id,
        "environment": environment_id,
        "limit": limit,
    }
    row = await (await connection.execute(_OLDEST, parameters, prepare=True)).fetchone()
    if row is None:
        return 0
    parameters |= {"environment": row[0], "last": row[1], "keys": row[2]}
    await connection.execute(_LOCK_KEYS, parameters, prepare=True)
    row = await (await connection.execute(_ERASE, parameters, prepare=True)).fetchone()
    return row[0] if row else 0


def history_erased(
    secret_id: UUID, name: str, versions: int, environment: str | None = None
) -> audit.Event:
    """That old values of a secret went before the rest, there being too many for one transaction."""
    details: dict[str, object] = {"name": name, "versions": versions}
    if environment is not None:
        details["environment"] = environment
    return audit.Event("secret.history_erased", "secret", str(secret_id), details)
