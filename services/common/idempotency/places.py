"""How many at a time may do something, for each name of those who want to."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable


@dataclass(slots=True)
class _Line:
    """Those who want a place under one name."""

    places: asyncio.Semaphore
    users: int = 0


class Places:
    """`each` places under each name, in the order asked. Keeps nothing of names that nobody wants.

    Belongs to one event loop.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._lines: dict[Hashable, _Line] = {}

    @contextlib.asynccontextmanager
    async def of(self, name: Hashable) -> AsyncIterator[None]:
        """A place for as long as the block takes; waited for as long as it takes."""
        line = self._lines.setdefault(name, _Line(asyncio.Semaphore(self._each)))
        line.users += 1
        try:
            async with line.places:
                yield
        finally:
            line.users -= 1
            if not line.users:
                self._lines.pop(name, None)
