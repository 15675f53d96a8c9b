"""One statement, one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.common.database import Connection

CHANNEL: Final = "coffer_rewrap"
"""Where leases are announced, as `<tenant>:<lease>`; `rewrap.issue_lease` does so too."""


async def one(
    connection: Connection, query: str, values: Sequence[object]
) -> tuple[Any, ...] | None:
    """The first row of a constant statement, prepared; None when there is none."""
    cursor = await connection.execute(query.encode(), values, prepare=True)
    return await cursor.fetchone()
