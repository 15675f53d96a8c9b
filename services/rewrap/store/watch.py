"""The live leases of all tenants, for the dispatcher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.rewrap.model import MAX_WAIT_SECONDS, RUNNABLE, Due, LeaseRef, LiveLeases

if TYPE_CHECKING:
    from services.common.database import Database


class PostgresLeaseWatch:
    """Sees the live leases of all tenants, and nothing else; `database` is the dispatcher's login."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def live(self) -> LiveLeases:
        """As the port says. Oldest first."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "select tenant_id, id, state,"
                " extract(epoch from next_attempt_at - clock_timestamp())::float8, lanes_left"
                " from rewrap.lease where state in ('enqueued', 'running', 'waiting', 'paused') order by id",
                prepare=True,
            )
            rows = await cursor.fetchall()
        # Further ahead than a lease ever waits: the database's clock went back.
        due = [
            Due(LeaseRef(row[0], row[1]), row[4])
            for row in rows
            if row[2] in RUNNABLE and (row[3] is None or not 0 < row[3] <= MAX_WAIT_SECONDS + 1)
        ]
        later = [
            row[3] for row in rows if row[3] is not None and 0 < row[3] <= MAX_WAIT_SECONDS + 1
        ]
        by_state = dict.fromkeys((*RUNNABLE, "paused"), 0)
        for row in rows:
            by_state[row[2]] += 1
        return LiveLeases(due, min(later, default=None), by_state)
