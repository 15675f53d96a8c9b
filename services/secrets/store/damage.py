"""Rows that the database cannot read, as on a damaged page: named, so that all others are worked on.

A row that cannot be read has no id to see. It is told by a scan of the primary key alone, which is possible
where the page was visible to all when it was last vacuumed; or else by the value of the key, which names it.
Where neither can be read, and where the index itself is damaged, nothing can be named: DamageError is raised.
The walk by values is as long as there are keys of other tenants in between: it may end as DeadlineError.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from uuid import UUID

    from services.common.database import Database

_IO_ERROR: Final = "58030"
_INTERNAL: Final = "XX"
"""Class of internal_error, data_corrupted and index_corrupted. PostgreSQL's documentation, appendix A."""

_NEXT: Final = (
    """
    select id from secrets.data_key
    where tenant_id = %(tenant)b and id > %(after)b and id <= %(until)b order by id limit 1
    """,
    """
    select data_key_id from secrets.value_version
    where tenant_id = %(tenant)b and data_key_id > %(after)b and data_key_id <= %(until)b
    order by data_key_id limit 1
    """,
)

Found = TypeVar("Found")


class DamageError(Exception):
    """The database found something that it cannot read."""


@contextlib.contextmanager
def damage_told() -> Iterator[None]:
    """Turn what the driver raises for it into DamageError. Around a statement: the transaction is lost."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state == _IO_ERROR or state.startswith(_INTERNAL):
            raise DamageError from error
        raise


async def before_damage(look: Callable[[int], Awaitable[Found]], window: int) -> Found | None:
    """What `look` finds in the most rows, fewer than `window`, that can all be read. None if in no row."""
    found = None
    readable, damaged = 0, window
    while damaged - readable > 1:
        middle = (readable + damaged) // 2
        try:
            found = await look(middle)
        except DamageError:
            damaged = middle
        else:
            readable = middle
    return found


async def next_id(database: Database, tenant_id: UUID, after: UUID, until: UUID) -> UUID | None:
    """The first data key after `after`, whether or not its row can be read. Raises DamageError."""
    try:
        return await _next(database, _NEXT[0], tenant_id, after, until)
    except DamageError:
        return await _next(database, _NEXT[1], tenant_id, after, until)


async def _next(
    database: Database, query: str, tenant_id: UUID, after: UUID, until: UUID
) -> UUID | None:
    parameters = {"tenant": tenant_id, "after": after, "until": until}
    async with database.tenant(tenant_id) as connection:
        with damage_told():
            row = await (await connection.execute(query.encode(), parameters)).fetchone()
    return row[0] if row else None
