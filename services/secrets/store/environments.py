"""Environments on PostgreSQL.

Lock order: usage row, environment, deleted secrets by id, data keys by id, audit head. Who stores a value
of a secret that is there already holds the environment, for key share, before that value's counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from psycopg.errors import UniqueViolation

from services.common import audit
from services.common.idempotency import store as idempotency_store
from services.secrets.groups import MAX_ENVIRONMENTS, EnvironmentRow, Refusal, Unfinished
from services.secrets.store import reads
from services.secrets.store.emptying import empty_part, forget_counters, is_in_use
from services.secrets.store.usage import hold_usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from services.common.database import Connection, Database
    from services.common.identity import Call
    from services.secrets.groups import EnvironmentChange, EnvironmentDraft

_ROW: Final = """
select e.id, e.name, e.display_name, e.description, e.color, e.is_default, e.created_at
from secrets.environment e
where e.tenant_id = %(tenant)s
"""
_LIST: Final = f'{_ROW} order by e.name collate "C"'
_GET: Final = f"{_ROW} and e.id = %(environment)s"
_LOCK: Final = f"{_GET} for update"
_IS_CLOSED: Final = """
select e.closed_at is not null from secrets.environment e
where e.tenant_id = %(tenant)s and e.id = %(environment)s
"""
# Nothing is stored in it, made of it or restored into it any more.
_CLOSE: Final = """
update secrets.environment e set closed_at = clock_timestamp()
where e.tenant_id = %(tenant)s and e.id = %(environment)s and e.closed_at is null
"""
_COUNT: Final = "select count(*) from secrets.environment e where e.tenant_id = %(tenant)s"
_CREATE: Final = """
insert into secrets.environment
    (tenant_id, id, name, display_name, description, color, is_default)
values (%(tenant)s, %(environment)s, %(name)s, %(display_name)s, %(description)s, %(color)s, false)
"""
_UPDATE: Final = """
update secrets.environment e
set name = %(name)s, display_name = %(display_name)s, description = %(description)s,
    color = %(color)s
where e.tenant_id = %(tenant)s and e.id = %(environment)s
"""
# Two statements: never two defaults, not even for a moment.
_NO_DEFAULT: Final = """
update secrets.environment e set is_default = false
where e.tenant_id = %(tenant)s and e.is_default
"""
_DEFAULT: Final = """
update secrets.environment e set is_default = true
where e.tenant_id = %(tenant)s and e.id = %(environment)s
"""
_GRANTED: Final = """
select from tenancy.consumer_grant g
where g.tenant_id = %(tenant)s and g.environment_names && %(names)s::text[] limit 1
"""
_DELETE: Final = """
delete from secrets.environment e where e.tenant_id = %(tenant)s and e.id = %(environment)s
"""


class PostgresEnvironments:
    """`ports.EnvironmentStore`: each method is one transaction held to one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, tenant_id: UUID, call: Call) -> tuple[EnvironmentRow, ...]:
        """As `ports.EnvironmentStore.list`."""
        async with self._database.tenant(tenant_id) as connection:
            # Makes it where there is none.
            await reads.environment(connection, tenant_id, None, call)
            cursor = await connection.execute(_LIST, {"tenant": tenant_id}, prepare=True)
            return tuple([EnvironmentRow(*row) async for row in cursor])

    async def get(self, tenant_id: UUID, environment_id: UUID) -> EnvironmentRow | None:
        """As `ports.EnvironmentStore.get`."""
        async with self._database.tenant(tenant_id) as connection:
            return await _get(connection, tenant_id, environment_id)

    async def create(
        self, tenant_id: UUID, draft: EnvironmentDraft, call: Call
    ) -> EnvironmentRow | Refusal:
        """As `ports.EnvironmentStore.create`."""
        environment_id = uuid4()
        parameters = {
            "tenant": tenant_id,
            "environment": environment_id,
            "name": draft.name,
            "display_name": draft.display_name,
            "description": draft.description,
            "color": draft.color,
        }
        try:
            async with self._database.change(tenant_id) as connection:
                await hold_usage(connection, tenant_id)
                await reads.environment(connection, tenant_id, None, call)
                count = await (await connection.execute(_COUNT, parameters)).fetchone()
                if count is not None and count[0] >= MAX_ENVIRONMENTS:
                    return Refusal.TOO_MANY
                await connection.execute(_CREATE, parameters)
                if draft.is_default:
                    await _make_default(connection, tenant_id, environment_id)
                return await _finish(connection, tenant_id, environment_id, call, "created")
        except UniqueViolation:
            return Refusal.NAME_TAKEN

    async def update(
        self, tenant_id: UUID, environment_id: UUID, change: EnvironmentChange, call: Call
    ) -> EnvironmentRow | Refusal | None:
        """As `ports.EnvironmentStore.update`."""
        try:
            async with self._database.change(tenant_id) as connection:
                await hold_usage(connection, tenant_id)
                row = await _get(connection, tenant_id, environment_id, _LOCK)
                if row is None:
                    return None
                if await _is_closed(connection, tenant_id, environment_id):
                    return Refusal.GOES
                changed = change.of(row)
                if (refusal := await _refusal(connection, tenant_id, row, changed)) is not None:
                    return refusal
                await _write(connection, tenant_id, row, changed)
                details: dict[str, object] = {"changed": sorted(change.members)}
                if changed.name != row.name:
                    details["renamed_from"] = row.name
                return await _finish(
                    connection, tenant_id, environment_id, call, "updated", details=details
                )
        except UniqueViolation:
            return Refusal.NAME_TAKEN

    async def delete(
        self, tenant_id: UUID, environment_id: UUID, after: UUID | None, call: Call
    ) -> bool | Refusal | Unfinished | None:
        """As `ports.EnvironmentStore.delete`."""
        async with self._database.change(tenant_id) as connection:
            await hold_usage(connection, tenant_id)
            row = await _get(connection, tenant_id, environment_id, _LOCK)
            if row is None:
                return None
            if row.is_default:
                return Refusal.IS_DEFAULT
            # Decided once: what is stored by the previous release may still keep a closed one from going.
            if after is None and await is_in_use(connection, tenant_id, environment_id):
                return Refusal.IN_USE
            # It goes only with a part that is both the first and the last: then nothing is passed over.
            part = await empty_part(connection, tenant_id, row, after)
            if after is None and part.is_last:
                await _delete(connection, tenant_id, row, part.events, call)
                return True
            await connection.execute(_CLOSE, {"tenant": tenant_id, "environment": environment_id})
            if part.events:
                await audit.append(connection, tenant_id, call, part.events)
            return Unfinished(None if part.is_last else part.after)


async def _delete(
    connection: Connection,
    tenant_id: UUID,
    row: EnvironmentRow,
    events: Sequence[audit.Event],
    call: Call,
) -> None:
    await forget_counters(connection, tenant_id, row.id)
    await connection.execute(_DELETE, {"tenant": tenant_id, "environment": row.id})
    await idempotency_store.complete(connection, "secrets", tenant_id, [(call, None)])
    await audit.append(connection, tenant_id, call, [*events, _event("deleted", row)])


async def _is_closed(connection: Connection, tenant_id: UUID, environment_id: UUID) -> bool:
    parameters = {"tenant": tenant_id, "environment": environment_id}
    row = await (await connection.execute(_IS_CLOSED, parameters)).fetchone()
    return row is not None and bool(row[0])


async def _get(
    connection: Connection, tenant_id: UUID, environment_id: UUID, query: str = _GET
) -> EnvironmentRow | None:
    parameters = {"tenant": tenant_id, "environment": environment_id}
    row = await (await connection.execute(query.encode(), parameters, prepare=True)).fetchone()
    return None if row is None else EnvironmentRow(*row)


async def _refusal(
    connection: Connection, tenant_id: UUID, row: EnvironmentRow, changed: EnvironmentRow
) -> Refusal | None:
    if row.is_default and not changed.is_default:
        return Refusal.NEEDS_DEFAULT
    if changed.name == row.name:
        return None
    parameters = {"tenant": tenant_id, "names": [row.name, changed.name]}
    granted = await (await connection.execute(_GRANTED, parameters)).fetchone()
    return None if granted is None else Refusal.GRANTED


async def _write(
    connection: Connection, tenant_id: UUID, row: EnvironmentRow, changed: EnvironmentRow
) -> None:
    parameters = {
        "tenant": tenant_id,
        "environment": row.id,
        "name": changed.name,
        "display_name": changed.display_name,
        "description": changed.description,
        "color": changed.color,
    }
    await connection.execute(_UPDATE, parameters)
    if changed.is_default and not row.is_default:
        await _make_default(connection, tenant_id, row.id)


async def _make_default(connection: Connection, tenant_id: UUID, environment_id: UUID) -> None:
    parameters = {"tenant": tenant_id, "environment": environment_id}
    await connection.execute(_NO_DEFAULT, parameters)
    await connection.execute(_DEFAULT, parameters)


async def _finish(
    connection: Connection,
    tenant_id: UUID,
    environment_id: UUID,
    call: Call,
    done: str,
    *,
    details: Mapping[str, object] | None = None,
) -> EnvironmentRow:
    """The row as it is now, kept for the call's idempotency key, and the event."""
    row = await _get(connection, tenant_id, environment_id)
    assert row is not None
    await idempotency_store.complete(connection, "secrets", tenant_id, [(call, row)])
    await audit.append(connection, tenant_id, call, [_event(done, row, details)])
    return row


def _event(
    done: str, row: EnvironmentRow, details: Mapping[str, object] | None = None
) -> audit.Event:
    shown = {"name": row.name, "is_default": row.is_default, **(details or {})}
    return audit.Event(f"environment.{done}", "environment", str(row.id), shown)
