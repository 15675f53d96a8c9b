"""What a process does now and then, whoever calls it meanwhile."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import structlog

from services.common.defects import describe
from services.common.errors import CofferError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = structlog.get_logger(__name__)


async def repeatedly(
    turn: Callable[[], Awaitable[object]], every_seconds: float, name: str
) -> None:
    """Take a turn every `every_seconds`, less or more by half, so that processes drift apart.

    Until cancelled. A turn that fails is told, as `<name>_failed` or, if it is a defect, `<name>_defect`; the
    next one comes all the same, so an unreachable database is waited for.
    """
    while True:
        await asyncio.sleep(every_seconds * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        try:
            await turn()
        except CofferError as error:
            _log.warning(f"{name}_failed", code=error.code)
        except Exception as error:  # noqa: BLE001 - what is to be done must not stay undone for ever
            _log.error(f"{name}_defect", **describe(error))
