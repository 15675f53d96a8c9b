"""The dispatcher: gives every live lease its seats, and dead workers' jobs to the living.

Any number of them may run. Losing the whole queue loses nothing: the leases are the record.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from services.common.defects import describe
from services.common.errors import CofferError
from services.rewrap.model import Seating, seats

if TYPE_CHECKING:
    from services.rewrap.ports import JobQueue, LeaseWatch, Observer

_SHORTEST_SECONDS: Final = 0.1
_FIRST_SECONDS: Final = (0.3, 0.5, 1.0)
"""The first looks follow each other closely: a new worker is not known at once, and joins the others."""

_log = structlog.get_logger(__name__)


class Dispatcher:
    """Looks at the live leases when woken, when a waiting one becomes due, and every few seconds."""

    def __init__(
        self,
        watch: LeaseWatch,
        queue: JobQueue,
        observer: Observer,
        *,
        lanes: int,
        every_seconds: float,
        recover_seconds: float,
    ) -> None:
        """`lanes`: how many of a lease a worker takes at once."""
        self._watch = watch
        self._queue = queue
        self._observer = observer
        self._lanes = lanes
        self._every = every_seconds
        self._recover = recover_seconds
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now: something was announced, or may have been missed."""
        self._woken.set()

    async def run(self) -> None:
        """Dispatch and recover until cancelled. An unreachable database is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatch_for_ever())
            group.create_task(self._recover_for_ever())

    async def dispatch(self) -> float:
        """Look once; returns in how many seconds to look again. Raises UnavailableError and its like."""
        live = await self._watch.live()
        self._observer.live_leases(live.by_state)
        if live.due:
            wanted = [Seating(due.ref, seats(due.lanes_left, self._lanes)) for due in live.due]
            await self._queue.enqueue(wanted)
        if live.next_due_seconds is None:
            return self._every
        return max(_SHORTEST_SECONDS, min(self._every, live.next_due_seconds))

    async def recover(self) -> None:
        """Take over the jobs of the dead once. Raises UnavailableError and its like."""
        jobs = await self._queue.recover()
        if jobs:
            self._observer.recovered(jobs)
            _log.warning("jobs_taken_over", jobs=jobs)

    async def _dispatch_for_ever(self) -> None:
        first = iter(_FIRST_SECONDS)
        while True:
            self._woken.clear()
            pause = self._every
            try:
                pause = await self.dispatch()
            except CofferError as error:
                _log.warning("dispatch_failed", code=error.code)
            except Exception as error:  # noqa: BLE001 - without a dispatcher every lease stands still
                _log.error("dispatch_defect", **describe(error))
            try:
                async with asyncio.timeout(min(pause, next(first, pause))):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _recover_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._recover)
            try:
                await self.recover()
            except CofferError as error:
                _log.warning("recovery_failed", code=error.code)
            except Exception as error:  # noqa: BLE001 - as above
                _log.error("recovery_defect", **describe(error))
