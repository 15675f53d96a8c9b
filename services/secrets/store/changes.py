"""Changing, deleting and restoring secrets. Lock order: usage row, secret, audit head.

Whoever holds the usage row is alone in giving and freeing names of the tenant's live secrets: what was looked
at stays so until the commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from services.common import audit
from services.common.idempotency import store as idempotency_store
from services.secrets.changing import PATCHABLE
from services.secrets.deleting import LostBase, NotRestored
from services.secrets.model import Refused
from services.secrets.store import reads
from services.secrets.store.creates import room_left
from services.secrets.store.lists import RESTORABLE
from services.secrets.store.rebasing import settle
from services.secrets.store.usage import hold_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.common.database import Connection, Database
    from services.common.identity import Call
    from services.secrets.changing import Change
    from services.secrets.model import SecretRow

_HAS_COLLECTION: Final = """
select from secrets.collection where tenant_id = %(tenant)s and id = %(collection)s
"""
# By the key alone, and whether it is deleted looked at afterwards: see `reads`.
_LOCK: Final = f"""
select s.name, s.description, s.collection_id, s.expires_at, s.strict_expiry_enforcement,
    s.deleted_at is null, s.{RESTORABLE}, s.base_environment_id, s.lost_base
from secrets.secret s
where s.tenant_id = %(tenant)s and s.id = %(secret)s for update
"""  # noqa: S608 - a constant
_NAMED: Final = """
select s.id from secrets.secret s
where s.tenant_id = %(tenant)s and s.name = %(name)s and s.deleted_at is null
"""
_CHANGE: Final = """
update secrets.secret s
set name = %(name)s, description = %(description)s, collection_id = %(collection_id)s::uuid,
    expires_at = %(expires_at)s::timestamptz,
    strict_expiry_enforcement = %(strict_expiry_enforcement)s,
    updated_at = date_trunc('milliseconds', clock_timestamp())
where s.tenant_id = %(tenant)s and s.id = %(secret)s
"""
_DELETE: Final = """
update secrets.secret s set deleted_at = clock_timestamp(), lost_base = null
where s.tenant_id = %(tenant)s and s.id = %(secret)s
"""
# One that lost its base is shown otherwise than when it was deleted.
_RESTORE: Final = """
update secrets.secret s
set deleted_at = null, lost_base = null, updated_at = case when s.lost_base is null then s.updated_at
    else date_trunc('milliseconds', clock_timestamp()) end
where s.tenant_id = %(tenant)s and s.id = %(secret)s
"""
_PLACES: Final = """
select e.name, e.id, e.closed_at is not null from secrets.secret_environment v
join secrets.environment e on e.tenant_id = v.tenant_id and e.id = v.environment_id
where v.tenant_id = %(tenant)s and v.secret_id = %(secret)s and v.deleted_at is null
order by e.is_default desc, e.name collate "C"
"""
_COUNT: Final = """
update secrets.usage set live_secrets = live_secrets + %(more)s where tenant_id = %(tenant)s
"""


class PostgresSecretChanges:
    """`ports.SecretChanges`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has_collection(self, tenant_id: UUID, collection_id: UUID) -> bool:
        """As `ports.SecretChanges.has_collection`."""
        async with self._database.tenant(tenant_id) as connection:
            return await _has_collection(connection, tenant_id, collection_id)

    async def change(
        self, tenant_id: UUID, secret_id: UUID, change: Change, call: Call
    ) -> SecretRow | Refused | None:
        """As `ports.SecretChanges.change`."""
        async with self._database.change(tenant_id) as connection:
            await hold_usage(connection, tenant_id)
            return await _change(connection, tenant_id, secret_id, change, call)

    async def delete(self, tenant_id: UUID, secret_id: UUID, call: Call) -> bool:
        """As `ports.SecretChanges.delete`."""
        async with self._database.change(tenant_id) as connection:
            await hold_usage(connection, tenant_id)
            return await _delete(connection, tenant_id, secret_id, call)

    async def restore(
        self, tenant_id: UUID, secret_id: UUID, base_environment: str | None, call: Call
    ) -> SecretRow | NotRestored | LostBase:
        """As `ports.SecretChanges.restore`."""
        async with self._database.change(tenant_id) as connection:
            return await _restore(connection, tenant_id, secret_id, base_environment, call)


@dataclass(frozen=True, slots=True)
class _Held:
    """A secret whose row is held; `members` are those of `PATCHABLE`, in that order."""

    members: tuple[Any, ...]
    is_live: bool
    is_restorable: bool | None
    base_id: UUID
    lost_base: str | None

    @property
    def name(self) -> str:
        return str(self.members[0])


async def _held(connection: Connection, tenant_id: UUID, secret_id: UUID) -> _Held | None:
    parameters = {"tenant": tenant_id, "secret": secret_id}
    row = await (await connection.execute(_LOCK, parameters, prepare=True)).fetchone()
    if row is None:
        return None
    *members, is_live, is_restorable, base_id, lost_base = row
    return _Held(tuple(members), is_live, is_restorable, base_id, lost_base)


async def _change(
    connection: Connection, tenant_id: UUID, secret_id: UUID, change: Change, call: Call
) -> SecretRow | Refused | None:
    held = await _held(connection, tenant_id, secret_id)
    if held is None or not held.is_live:
        return None
    parameters = {"tenant": tenant_id, "secret": secret_id}
    stored = dict(zip(PATCHABLE, held.members, strict=True))
    wanted = stored | dict(change.members)
    collection = change.members.get("collection_id")
    if collection and not await _has_collection(connection, tenant_id, collection):
        return Refused.NO_COLLECTION
    if wanted["name"] != stored["name"] and await _is_taken(connection, tenant_id, wanted["name"]):
        return Refused.NAME_TAKEN
    await connection.execute(_CHANGE, parameters | wanted, prepare=True)
    event = audit.Event("secret.updated", "secret", str(secret_id), _told(change, stored, wanted))
    return await _shown(connection, tenant_id, secret_id, call, event)


def _told(
    change: Change, stored: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, object]:
    """What the event says: each member that was set, from what to what. Of a description only that: people
    write anything into it, and an event is kept for ever.
    """
    details: dict[str, object] = {"name": wanted["name"], "changed": sorted(change.members)}
    if wanted["name"] != stored["name"]:
        details["renamed_from"] = stored["name"]
    shown = [member for member in change.members if member != "description"]
    details["from"] = {member: _plain(stored[member]) for member in shown}
    details["to"] = {member: _plain(wanted[member]) for member in shown}
    return details


def _plain(value: object) -> object:
    """As JSON shows it; times with milliseconds, in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value


async def _delete(connection: Connection, tenant_id: UUID, secret_id: UUID, call: Call) -> bool:
    held = await _held(connection, tenant_id, secret_id)
    if held is None or not held.is_live:
        return False
    parameters = {"tenant": tenant_id, "secret": secret_id}
    await connection.execute(_DELETE, parameters, prepare=True)
    await connection.execute(_COUNT, {"tenant": tenant_id, "more": -1}, prepare=True)
    await idempotency_store.complete(connection, "secrets", tenant_id, [(call, None)])
    event = audit.Event("secret.deleted", "secret", str(secret_id), {"name": held.name})
    await audit.append(connection, tenant_id, call, [event])
    return True


async def _restore(
    connection: Connection,
    tenant_id: UUID,
    secret_id: UUID,
    base_environment: str | None,
    call: Call,
) -> SecretRow | NotRestored | LostBase:
    has_room = await room_left(connection, tenant_id, 1) > 0
    held = await _held(connection, tenant_id, secret_id)
    if held is None or not held.is_restorable:
        is_live = held is not None and held.is_live
        return NotRestored.NOT_DELETED if is_live else NotRestored.NO_SECRET
    if await _is_taken(connection, tenant_id, held.name):
        return NotRestored.NAME_TAKEN
    if not has_room:
        return NotRestored.PLAN_LIMIT
    parameters = {"tenant": tenant_id, "secret": secret_id}
    cursor = await connection.execute(_PLACES, parameters, prepare=True)
    found = await cursor.fetchall()
    if any(is_closed for _, _, is_closed in found):
        return NotRestored.ENVIRONMENT_GOES
    places = {name: place for name, place, _ in found}
    if (refused := _refused_base(held, places, base_environment)) is not None:
        return refused
    details: dict[str, object] = {"name": held.name}
    if held.lost_base is not None and base_environment is not None:
        await settle(connection, tenant_id, secret_id, held.base_id, places[base_environment])
        details |= {"lost_base": held.lost_base, "base_environment": base_environment}
    await connection.execute(_RESTORE, parameters, prepare=True)
    await connection.execute(_COUNT, {"tenant": tenant_id, "more": 1}, prepare=True)
    event = audit.Event("secret.restored", "secret", str(secret_id), details)
    return await _shown(connection, tenant_id, secret_id, call, event)


def _refused_base(
    held: _Held, places: Mapping[str, UUID], asked: str | None
) -> NotRestored | LostBase | None:
    """`places`: where it has a value."""
    if asked is None:
        return None if held.lost_base is None else LostBase(held.lost_base, tuple(places))
    if asked not in places:
        return NotRestored.NO_VALUE_THERE
    if held.lost_base is None and places[asked] != held.base_id:
        return NotRestored.NOT_ITS_BASE
    return None


async def _shown(
    connection: Connection, tenant_id: UUID, secret_id: UUID, call: Call, event: audit.Event
) -> SecretRow:
    """The row as it is now, kept for the call's idempotency key, and the event."""
    row = await reads.live_row(connection, tenant_id, secret_id)
    assert row is not None
    await idempotency_store.complete(connection, "secrets", tenant_id, [(call, row)])
    await audit.append(connection, tenant_id, call, [event])
    return row


async def _has_collection(connection: Connection, tenant_id: UUID, collection_id: UUID) -> bool:
    parameters = {"tenant": tenant_id, "collection": collection_id}
    cursor = await connection.execute(_HAS_COLLECTION, parameters, prepare=True)
    return await cursor.fetchone() is not None


async def _is_taken(connection: Connection, tenant_id: UUID, name: str) -> bool:
    parameters = {"tenant": tenant_id, "name": name}
    cursor = await connection.execute(_NAMED, parameters, prepare=True)
    return await cursor.fetchone() is not None
