"""Emptying an environment that is about to be deleted: only deleted secrets may have anything there.

In parts, so that the tenant's usage row is held for a moment only, however much there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.common import audit
from services.secrets.store import purges
from services.secrets.store.erasing import MAX_VERSIONS, erase_oldest, history_erased
from services.secrets.store.rebasing import rebase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
_PART: Final = """
select s.id, s.name, c.value_version, (
    select count(*) from (
        select from secrets.value_version v where v.tenant_id = %(tenant)s and v.secret_id = s.id
            and v.environment_id = %(environment)s limit %(versions)s + 1
    ) counted)
from secrets.secret s
left join secrets.secret_environment c on c.tenant_id = s.tenant_id and c.secret_id = s.id
    and c.environment_id = %(environment)s and c.deleted_at is null
where s.tenant_id = %(tenant)s and s.deleted_at is not null and s.id > %(after)s
  and (s.base_environment_id = %(environment)s or c.secret_id is not null)
order by s.id limit %(secrets)s for update of s
"""
_WITHOUT_HOME: Final = """
select s.id from secrets.secret s
where s.tenant_id = %(tenant)s and s.base_environment_id = %(environment)s
  and s.id = any (%(secrets)s::uuid[])
order by s.id
"""
# The counters stay until the environment goes, so that no number comes twice if it does not.
_END: Final = """
update secrets.secret_environment v
set deleted_at = date_trunc('milliseconds', clock_timestamp()), expires_at_override = null
where v.tenant_id = %(tenant)s and v.environment_id = %(environment)s
  and v.secret_id = any (%(secrets)s::uuid[]) and v.deleted_at is null
"""
_FORGET: Final = """
delete from secrets.secret_environment v
where v.tenant_id = %(tenant)s and v.environment_id = %(environment)s
"""

AT_A_TIME: Final = 200
"""Secrets that one transaction takes out of an environment at most."""
_NO_ID: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Part:
    """What was done: its events, the id of the last secret, and whether none comes after it."""

    events: list[audit.Event]
    after: UUID | None
    is_last: bool


@dataclass(frozen=True, slots=True)
class _Held:
    """A deleted secret that is held; `versions` are those of its value there, counted up to the limit."""

    id: UUID
    name: str
    value_version: int | None
    versions: int


async def is_in_use(connection: Connection, tenant_id: UUID, environment_id: UUID) -> bool:
    """Whether a live secret has a value there."""
    parameters = {"tenant": tenant_id, "environment": environment_id}
    return await (await connection.execute(_IN_USE, parameters)).fetchone() is not None


async def empty_part(
    connection: Connection, tenant_id: UUID, row: EnvironmentRow, after: UUID | None
) -> Part:
    """Remove what some deleted secrets have there, and give those that were made there another base.

    Those whose ids come after `after`, at most AT_A_TIME secrets and MAX_VERSIONS versions. Its events are
    one for each secret that lost its value or old values there, that has another base now, and that was
    purged because it has no value anywhere else. The caller holds the usage row and the environment for
    update.
    """
    held = await _hold(connection, tenant_id, row.id, after or _NO_ID)
    chosen = _fitting(held)
    if held and not chosen:
        first = held[0]
        gone = await erase_oldest(connection, tenant_id, first.id, row.id, MAX_VERSIONS)
        return Part([history_erased(first.id, first.name, gone, row.name)], after, is_last=False)
    events = await _empty(connection, tenant_id, row, chosen)
    is_last = len(chosen) == len(held) < AT_A_TIME
    return Part(events, chosen[-1].id if chosen else after, is_last=is_last)


async def forget_counters(connection: Connection, tenant_id: UUID, environment_id: UUID) -> None:
    """Remove what is left there once it is empty. It must then go itself, or numbers would come twice."""
    parameters = {"tenant": tenant_id, "environment": environment_id}
    await connection.execute(_FORGET, parameters)


async def _hold(
    connection: Connection, tenant_id: UUID, environment_id: UUID, after: UUID
) -> list[_Held]:
    parameters = {
        "tenant": tenant_id,
        "environment": environment_id,
        "after": after,
        "secrets": AT_A_TIME,
        "versions": MAX_VERSIONS,
    }
    cursor = await connection.execute(_PART, parameters)
    return [_Held(*found) async for found in cursor]


def _fitting(held: Sequence[_Held]) -> Sequence[_Held]:
    versions = 0
    for number, secret in enumerate(held):
        versions += secret.versions
        if versions > MAX_VERSIONS:
            return held[:number]
    return held


async def _empty(
    connection: Connection, tenant_id: UUID, row: EnvironmentRow, chosen: Sequence[_Held]
) -> list[audit.Event]:
    ids = [secret.id for secret in chosen]
    parameters = {"tenant": tenant_id, "environment": row.id, "secrets": ids}
    moved = await rebase(connection, tenant_id, ids, row)
    cursor = await connection.execute(_WITHOUT_HOME, parameters)
    homeless = [secret_id async for (secret_id,) in cursor]
    purged = await purges.purge(connection, tenant_id, homeless)
    erased = await purges.erase_values(connection, tenant_id, ids, row.id)
    await connection.execute(_END, parameters)
    removed, rebased = [], []
    for secret in chosen:
        if secret.id in erased:
            details: dict[str, object] = {
                "name": secret.name,
                "environment": row.name,
                "value_version": secret.value_version,
                "versions": erased[secret.id],
            }
            removed.append(_event("secret.environment_removed", secret.id, details))
        if secret.id in moved:
            details = {"name": secret.name, "from": row.name, "to": moved[secret.id]}
            rebased.append(_event("secret.rebased", secret.id, details))
    return [*removed, *rebased, *purged]


def _event(action: str, secret_id: UUID, details: Mapping[str, object]) -> audit.Event:
    return audit.Event(action, "secret", str(secret_id), details)
