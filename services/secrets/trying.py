"""Beginning again where a rotation or another writer came first."""

from __future__ import annotations

import asyncio
from typing import Final

TRIES: Final = 8
"""How often somebody else may come first before we give up."""
PAUSE_SECONDS: Final = 0.02
"""One kms process hears of a rotation in another a moment later; each further try waits so much longer."""


async def pause(attempt: int) -> None:
    """Before the try of this number, from 0; the first two go at once. All of them: 0.42 s."""
    await asyncio.sleep(PAUSE_SECONDS * max(0, attempt - 1))
