"""Removing what is kept of requests once it means nothing any more: after 24 hours, whoever sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.background import repeatedly

if TYPE_CHECKING:
    from services.common.database import Database

EVERY_SECONDS: Final = 600.0
AT_A_TIME: Final = 1000
"""Rows that one transaction removes at most."""


class Clearing:
    """Clears the keys of one service every `every_seconds`, less or more by half.

    Every process of the service does so: what one has in hand the others pass over. `database` is that of a
    role that may execute `<schema>.clear_idempotency`. Construction does no I/O.
    """

    def __init__(
        self, database: Database, schema: str, *, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._database = database
        self._clear = f"select {schema}.clear_idempotency(%s)"
        self._every = every_seconds

    async def run(self) -> None:
        """Clear until cancelled."""
        await repeatedly(self.turn, self._every, "clearing_of_idempotency")

    async def turn(self) -> int:
        """Remove all that is too old now; returns how much that was. Raises as `Database.write`."""
        cleared = 0
        while True:
            ((gone,),) = await self._database.write(self._clear, (AT_A_TIME,))
            cleared += int(gone)
            if gone < AT_A_TIME:
                return cleared
