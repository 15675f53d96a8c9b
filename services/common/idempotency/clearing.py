"""Removing what is kept of requests once it means nothing any more: after 24 hours, whoever sent them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import structlog

from services.common.defects import describe
from services.common.errors import CofferError

if TYPE_CHECKING:
    from services.common.database import Database

EVERY_SECONDS: Final = 600.0
AT_A_TIME: Final = 1000
"""Rows that one transaction removes at most."""

_log = structlog.get_logger(__name__)


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
        """Clear until cancelled. An unreachable database is waited for."""
        while True:
            await asyncio.sleep(self._every * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            try:
                await self.turn()
            except CofferError as error:
                _log.warning("idempotency_not_cleared", code=error.code)
            except Exception as error:  # noqa: BLE001 - what was kept must not stay for ever
                _log.error("idempotency_defect", **describe(error))

    async def turn(self) -> int:
        """Remove all that is too old now; returns how much that was. Raises as `Database.write`."""
        cleared = 0
        while True:
            ((gone,),) = await self._database.write(self._clear, (AT_A_TIME,))
            cleared += int(gone)
            if gone < AT_A_TIME:
                return cleared
