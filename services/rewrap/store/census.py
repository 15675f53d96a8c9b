"""How many stored data keys each version wraps, counted by `secrets.census`.

A census counts all data keys of a tenant. It may have to wait; what needs a connection for a moment, as
holding on to a lane does, must not wait for it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg

from services.rewrap.store.rows import one

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.common.database import Connection
    from services.rewrap.model import LeaseRef

T = TypeVar("T")

AT_ONCE: Final = 4
"""Censuses of a process at a time: a quarter of its connections."""
_TIMEOUT: Final = "120s"
"""Exact over all of a tenant's data keys: about 1 s per million."""
_CENSUS: Final = """
select key_version, data_keys from secrets.census(%s) where data_keys > 0 order by key_version
"""
# One worker counts for a lease at a time; the lock ends with its transaction, or with its life.
_ALONE: Final = """
select pg_try_advisory_xact_lock(hashtextextended('rewrap census ' || %s::text || %s::text, 0))
"""


@dataclass(frozen=True, slots=True)
class Census:
    """Data keys by version; those of revoked versions are no part of it.

    Not `counted`: the database cannot read all that is to be counted, a page or an index is damaged.
    """

    by_version: tuple[tuple[int, int], ...]
    counted: bool = True

    def under(self, version: int) -> int:
        """Data keys of this version."""
        return dict(self.by_version).get(version, 0)

    def stale(self, target_version: int) -> int:
        """Data keys of all other versions."""
        return sum(keys for version, keys in self.by_version if version != target_version)

    @property
    def keys(self) -> int:
        """All of them."""
        return sum(keys for _, keys in self.by_version)

    def json(self) -> str | None:
        """As a lease keeps it."""
        if not self.counted:
            return None
        rows = [{"version": version, "data_keys": keys} for version, keys in self.by_version]
        return json.dumps(rows)


class NoPlaceError(Exception):
    """There is something to count, and no place was taken for that. Only `Counting` sees it."""


class Counting:
    """Places for censuses; whoever waits for one has no connection. Belongs to one event loop."""

    def __init__(self, places: int = AT_ONCE) -> None:
        self._places = asyncio.Semaphore(places)

    async def run(self, step: Callable[[bool], Awaitable[T]]) -> T:
        """Do a step that perhaps counts, in a transaction of its own; `step` is told whether it may.

        If it has to count it is undone, and done again when its turn to count has come.
        """
        try:
            return await step(False)
        except NoPlaceError:
            async with self._places:
                return await step(True)


async def take(connection: Connection, ref: LeaseRef, *, placed: bool) -> Census | None:
    """Count now. None when another worker counts for this lease.

    Raises DeadlineError, NoPlaceError.
    """
    if not placed:
        raise NoPlaceError
    alone = await one(connection, _ALONE, (ref.tenant_id, ref.lease_id))
    if alone is None or not alone[0]:
        return None
    await connection.execute(
        "select set_config('statement_timeout', %s, true)", (_TIMEOUT,), prepare=True
    )
    try:
        async with connection.transaction():
            cursor = await connection.execute(_CENSUS, (ref.tenant_id,), prepare=True)
            return Census(tuple((row[0], row[1]) for row in await cursor.fetchall()))
    except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted):
        return Census((), counted=False)
