"""The worker: takes a lease, works on it, and lets it go in a way that it goes on by itself."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from services.common.errors import CofferError, TenantSealedError
from services.common.identity import Call, enter_call
from services.rewrap.model import LeaseRef, retry_delay
from services.rewrap.run import Around, Effort, Ended, Run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.rewrap.model import Claim
    from services.rewrap.ports import Reports

T = TypeVar("T")

ACTOR: Final = "service:rewrap"
_UNEXPECTED: Final = "The work was interrupted; it goes on by itself."
_WEARY_ATTEMPTS: Final = 6
"""A lease whose keys fail one after another by a defect waits as after so many attempts."""

_log = structlog.get_logger(__name__)


class Worker:
    """Works on as many leases at once as it is called for. Any call may come twice."""

    def __init__(
        self,
        around: Around,
        reports: Reports,
        effort: Effort,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._around = around
        self._reports = reports
        self._effort = effort
        self._chance = chance
        self._runs: set[Run] = set()
        self._at_work: set[LeaseRef] = set()
        self._stopping = False

    def stop(self) -> None:
        """Let every lease go after the batches under way, and take no other."""
        self._stopping = True
        for run in self._runs:
            run.halt(Ended.STOPPED)

    def works_on(self, ref: LeaseRef) -> bool:
        """Whether it does now: then `work` refuses it."""
        return ref in self._at_work

    async def work(self, ref: LeaseRef) -> Ended:
        """Take lanes of the lease and work on them until that ends. Raises CofferError: none could be taken.

        Not promised: that the lease has ended then; a lease that is left alive is due again for somebody.
        """
        if self._stopping or ref in self._at_work:
            return Ended.REFUSED
        enter_call(Call(actor=ACTOR, request_id=str(uuid.uuid4()), tenant_id=ref.tenant_id))
        self._at_work.add(ref)
        try:
            ended = Ended.REFUSED
            while claim := await self._claim(ref):
                ended = await self._work(claim)
                # While it was let go it may have been resumed: that was announced to the dispatcher,
                # who found it at work here.
                if ended is not Ended.LOST or self._stopping:
                    break
            return ended
        finally:
            self._at_work.discard(ref)

    def _claim(self, ref: LeaseRef) -> Awaitable[Claim | None]:
        effort = self._effort
        return self._around.store.claim(
            ref, wanted=effort.lanes, batch=effort.batch, sample=effort.sample
        )

    async def _work(self, claim: Claim) -> Ended:
        observer = self._around.observer
        observer.run_began()
        ended = Ended.STOPPED
        try:
            ended = await self._hold(claim)
        finally:
            observer.run_ended(ended.value)
            observer.lease_left(claim.ref)
        _log.info("rewrap_" + ended.value, lease=claim.ref.lease_id)
        if ended in {Ended.COMPLETED, Ended.FAILED}:
            await self._sign(claim.ref)
        return ended

    async def _hold(self, claim: Claim) -> Ended:
        run = Run(claim, self._effort, self._around)
        self._runs.add(run)
        if self._stopping:
            run.halt(Ended.STOPPED)
        try:
            ended = await self._let_go(claim, run, await run.work())
        except asyncio.CancelledError:
            # Forced to stop: one last word, so that another worker need not wait for our silence.
            await self._quietly(self._around.store.release(claim.ref, run.holds))
            raise
        except Exception:
            await self._quietly(self._wait(claim, run, _UNEXPECTED))
            raise
        finally:
            self._runs.discard(run)
        return ended

    async def _let_go(self, claim: Claim, run: Run, ended: Ended) -> Ended:
        if ended is Ended.WAITING:
            message = run.error.message if run.error else _UNEXPECTED
            if await self._quietly(self._wait(claim, run, message)) is False:
                return Ended.SPARED
        elif ended in {Ended.STOPPED, Ended.YIELDED}:
            await self._quietly(self._around.store.release(claim.ref, run.holds))
            if ended is Ended.YIELDED:
                await self._quietly(self._around.queue.requeue(claim.ref))
        return ended

    def _wait(self, claim: Claim, run: Run, message: str) -> Awaitable[bool]:
        attempts = 1 if run.progressed else claim.attempts + 1
        if run.weary:
            attempts = max(attempts, _WEARY_ATTEMPTS)
        return self._around.store.wait(
            claim.ref,
            run.holds,
            attempts=attempts,
            delay_seconds=retry_delay(attempts, self._chance()),
            error=message,
            # What is out of reach for one worker may be within that of others; a seal holds for all.
            alone=run.error is None or run.error.code != TenantSealedError.code,
        )

    async def _sign(self, ref: LeaseRef) -> None:
        """At best now; whoever asks for the report first makes it otherwise."""
        try:
            await self._reports.sign_report(ref)
        except CofferError as error:
            _log.warning("report_not_signed", lease=ref.lease_id, code=error.code)

    async def _quietly(self, step: Awaitable[T]) -> T | None:
        """What fails here is made good by the dispatcher, who finds a live lease without a job."""
        try:
            return await step
        except CofferError as error:
            _log.warning("lease_not_let_go", code=error.code)
            return None
