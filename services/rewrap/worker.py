"""The worker: takes a lease, works on it, and lets it go in a way that it goes on by itself."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from services.common.errors import CofferError
from services.common.identity import Call, enter_call
from services.rewrap.model import LeaseRef, retry_delay
from services.rewrap.run import Around, Effort, Ended, Run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.rewrap.model import Taken
    from services.rewrap.ports import Batches, JobQueue, LeaseStore, Observer

T = TypeVar("T")

ACTOR: Final = "service:rewrap"
_UNEXPECTED: Final = "The work was interrupted; it goes on by itself."

_log = structlog.get_logger(__name__)


class Worker:
    """Works on as many leases at once as it is called for. Any call may come twice."""

    def __init__(
        self,
        store: LeaseStore,
        batches: Batches,
        queue: JobQueue,
        observer: Observer,
        effort: Effort,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._around = Around(store, batches, queue, observer, clock, sleep)
        self._effort = effort
        self._chance = chance
        self._runs: set[Run] = set()
        self._stopping = False

    def stop(self) -> None:
        """Let every lease go after the batches under way, and take no other."""
        self._stopping = True
        for run in self._runs:
            run.halt(Ended.STOPPED)

    async def work(self, ref: LeaseRef) -> Ended:
        """Take the lease and work on it until that ends. Raises CofferError when it cannot be taken.

        Not promised: that the lease has ended then; a lease that is left alive is due again for somebody.
        """
        if self._stopping:
            return Ended.REFUSED
        enter_call(Call(actor=ACTOR, request_id=str(uuid.uuid4()), tenant_id=ref.tenant_id))
        effort = self._effort
        taken = await self._around.store.take(ref, lanes=effort.lanes, batch=effort.batch)
        if taken is None:
            return Ended.REFUSED
        observer = self._around.observer
        observer.run_began()
        ended = Ended.STOPPED
        try:
            ended = await self._hold(taken)
        finally:
            observer.run_ended(ended.value)
        _log.info("rewrap_" + ended.value, lease=ref.lease_id, fence=taken.fence)
        return ended

    async def _hold(self, taken: Taken) -> Ended:
        run = Run(taken, self._effort, self._around)
        self._runs.add(run)
        if self._stopping:
            run.halt(Ended.STOPPED)
        try:
            ended = await self._let_go(taken, run, await run.work())
        except asyncio.CancelledError:
            # Forced to stop: one last word, so that another worker need not wait for our silence.
            await self._quietly(self._around.store.release(taken.ref, taken.fence))
            raise
        except Exception:
            delay = self._delay(taken, progressed=run.progressed)
            await self._quietly(self._wait(taken, delay, _UNEXPECTED))
            raise
        finally:
            self._runs.discard(run)
        return ended

    async def _let_go(self, taken: Taken, run: Run, ended: Ended) -> Ended:
        store = self._around.store
        if ended is Ended.WAITING:
            message = run.error.message if run.error else _UNEXPECTED
            delay = self._delay(taken, progressed=run.progressed)
            if await self._quietly(self._wait(taken, delay, message)) is False:
                return Ended.LOST
        elif ended in {Ended.STOPPED, Ended.YIELDED}:
            await self._quietly(store.release(taken.ref, taken.fence))
            if ended is Ended.YIELDED:
                await self._quietly(self._around.queue.requeue(taken.ref))
        return ended

    def _delay(self, taken: Taken, *, progressed: bool) -> tuple[int, float]:
        attempts = 1 if progressed else taken.attempts + 1
        return attempts, retry_delay(attempts, self._chance())

    def _wait(self, taken: Taken, delay: tuple[int, float], message: str) -> Awaitable[bool]:
        return self._around.store.wait(
            taken.ref, taken.fence, attempts=delay[0], delay_seconds=delay[1], error=message
        )

    async def _quietly(self, step: Awaitable[T]) -> T | None:
        """What fails here is made good by the dispatcher, who finds a live lease without a job."""
        try:
            return await step
        except CofferError as error:
            _log.warning("lease_not_let_go", code=error.code)
            return None
