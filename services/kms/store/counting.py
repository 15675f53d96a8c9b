"""How many censuses a process runs at once.

A census counts all data keys of a tenant, about a second for each million. Anybody's may have to wait; what
needs a connection for a moment, as opening a master key does, must not wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from services.common.database import Connection

AT_ONCE: Final = 4
_PART: Final = 4
"""And at most this part of the process's connections."""
_TIMEOUT: Final = "60s"


@dataclass(slots=True)
class _Line:
    """Those who count one tenant's data keys."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Counting:
    """Places for censuses: one for a tenant, a few for the process. Belongs to one event loop.

    A place is taken before the connection, and by whoever holds no ring.
    """

    def __init__(self, connections: int = AT_ONCE * _PART) -> None:
        """`connections`: how many the process has to the database."""
        self._places = asyncio.Semaphore(max(1, min(AT_ONCE, connections // _PART)))
        self._lines: dict[UUID, _Line] = {}

    @contextlib.asynccontextmanager
    async def place(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Wait for a place, in the order asked; however long that takes."""
        line = self._lines.setdefault(tenant_id, _Line())
        line.users += 1
        try:
            async with line.lock, self._places:
                yield
        finally:
            line.users -= 1
            if not line.users:
                self._lines.pop(tenant_id, None)


async def allow_counting(connection: Connection) -> None:
    """Until the end of the transaction a statement may take as long as a big tenant's census."""
    await connection.execute("select set_config('statement_timeout', %s, true)", (_TIMEOUT,))
