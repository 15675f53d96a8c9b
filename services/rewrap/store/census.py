"""How many stored data keys each version wraps, counted by `secrets.census`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.rewrap.store.rows import one

if TYPE_CHECKING:
    from services.common.database import Connection
    from services.rewrap.model import LeaseRef

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
    """Data keys by version; those of revoked versions are no part of it."""

    by_version: tuple[tuple[int, int], ...]

    def under(self, version: int) -> int:
        """Data keys of this version."""
        return dict(self.by_version).get(version, 0)

    def stale(self, target_version: int) -> int:
        """Data keys of all other versions."""
        return sum(keys for version, keys in self.by_version if version != target_version)

    def json(self) -> str:
        """As a lease keeps it."""
        rows = [{"version": version, "data_keys": keys} for version, keys in self.by_version]
        return json.dumps(rows)


async def take(connection: Connection, ref: LeaseRef) -> Census | None:
    """Count now. None when another worker counts for this lease. Raises DeadlineError."""
    alone = await one(connection, _ALONE, (ref.tenant_id, ref.lease_id))
    if alone is None or not alone[0]:
        return None
    await connection.execute(
        "select set_config('statement_timeout', %s, true)", (_TIMEOUT,), prepare=True
    )
    cursor = await connection.execute(_CENSUS, (ref.tenant_id,), prepare=True)
    return Census(tuple((row[0], row[1]) for row in await cursor.fetchall()))
