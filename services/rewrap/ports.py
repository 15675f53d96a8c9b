"""What rewrap needs of the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from services.rewrap.model import (
        Admission,
        Batch,
        BatchDone,
        Claim,
        Hold,
        Lease,
        LeasePage,
        LeaseRef,
        LiveLeases,
        Report,
        Seating,
        Verdict,
    )


class LeaseReader(Protocol):
    """A tenant's leases, to be looked at. Raises UnavailableError, DeadlineError."""

    async def page(
        self, tenant_id: UUID, state: str | None, *, offset: int, limit: int
    ) -> LeasePage:
        """Leases in `state` (None: all), newest first."""
        ...

    async def get(self, ref: LeaseRef) -> Lease | None:
        """One lease; None when the tenant has no such."""
        ...


class LeaseStore(Protocol):
    """The lease as its workers move it along. Every call is one transaction and may be repeated.

    Any number of workers may call at once. On a lease that is not running, or with holds that others have
    taken over, a call changes nothing. Raises UnavailableError, DeadlineError.
    """

    async def claim(
        self,
        ref: LeaseRef,
        *,
        wanted: int,
        batch: int,
        lost: Sequence[Hold] = (),
        sample: int | None = 0,
    ) -> Claim | None:
        """Hold up to `wanted` lanes that are free; make the lease `running`, count and divide it if new.

        `lost`: holds that are given up first. `sample`: so many will be verified, for the time left (None:
        all). None when the lease may not be worked on (any more), or not
        yet, or is just being counted by another.
        """
        ...

    async def report(self, ref: LeaseRef, holds: Sequence[Hold]) -> Report | None:
        """Hold on to these lanes, keep the rate. None when the lease does not run."""
        ...

    async def settle(self, ref: LeaseRef, *, batch: int, sample: int | None) -> Verdict | None:
        """Where all lanes are through: end the lease with its audit event, or give it new lanes.

        Keys are moved again where some were left; then `sample` of them are verified (None: all). None
        when the lease does not run.
        """
        ...

    async def wait(
        self,
        ref: LeaseRef,
        holds: Sequence[Hold],
        *,
        attempts: int,
        delay_seconds: float,
        error: str,
        alone: bool,
    ) -> bool:
        """Give these lanes up and make the lease `waiting` for so long; false when it was not made so.

        It is not if none of `holds` was held any more (given none, it may be), nor while others hold
        lanes, if `alone` or if no lane was given up.
        """
        ...

    async def release(self, ref: LeaseRef, holds: Sequence[Hold]) -> bool:
        """Give these lanes up; make the lease `enqueued` when nobody holds one then. False: it was not.

        It is not either if none of `holds` was held any more.
        """
        ...

    async def trouble(self, ref: LeaseRef, hold: Hold) -> int | None:
        """Count a batch that failed at this lane's cursor; how many there were. None: it is not held."""
        ...

    async def give_up(self, ref: LeaseRef, hold: Hold) -> bool:
        """End a lane at whose cursor batches failed: what is left of it stays, and settling says so.

        False: it is not held, or nothing failed there.
        """
        ...

    async def admit(self, ref: LeaseRef, keys: int, unused: int) -> Admission | None:
        """May up to `keys` be moved now, `unused` of those admitted before not having been? None: any."""
        ...


class Batches(Protocol):
    """secrets, that does the work."""

    async def rewrap(self, batch: Batch) -> BatchDone:
        """Do one batch of a lane that moves. Raises CofferError; it may then have been done or not."""
        ...

    async def verify(self, batch: Batch) -> BatchDone:
        """Do one batch of a lane that verifies. Raises as `rewrap`."""
        ...


class Reports(Protocol):
    """kms, that signs the papers."""

    async def sign_report(self, ref: LeaseRef) -> None:
        """Make the report of a lease that has just ended. Raises CofferError."""
        ...


class Manners(Protocol):
    """How the process makes room for others' calls."""

    def share(self, keys: int) -> int:
        """How many keys the next batch is to have, at most so many."""
        ...

    async def give_way(
        self, worked_seconds: float, slowdown: float, halted: Callable[[], bool]
    ) -> None:
        """Return when the next batch may begin, after one that took so long; soon when `halted`."""
        ...


class LeaseWatch(Protocol):
    """The live leases of all tenants."""

    async def live(self) -> LiveLeases:
        """Which there are. Raises UnavailableError, DeadlineError."""
        ...


class JobQueue(Protocol):
    """Hands leases to workers, on this machine and others: a job is a seat at a lease."""

    async def enqueue(self, wanted: Sequence[Seating]) -> int:
        """Give each lease seats, one for each live worker but no more than wanted.

        Returns how many were made. Raises UnavailableError.
        """
        ...

    async def requeue(self, ref: LeaseRef) -> None:
        """Put a lease behind those that wait, from within its own job. Raises UnavailableError."""
        ...

    async def recover(self) -> int:
        """Take over the jobs of dead workers; returns how many. Raises UnavailableError."""
        ...

    async def crowded(self) -> bool:
        """Whether a lease waits for a free worker. Raises UnavailableError."""
        ...


class Observer(Protocol):
    """Who is told what happens, for metrics."""

    def batch_done(self, done: BatchDone, seconds: float) -> None:
        """A batch was done."""
        ...

    def run_began(self) -> None:
        """A lease was taken by this process."""
        ...

    def run_ended(self, outcome: str) -> None:
        """It let the lease go."""
        ...

    def lease_seen(self, ref: LeaseRef, report: Report) -> None:
        """A lease that this process works on, how far it is, and which of its lanes are this process's."""
        ...

    def lease_left(self, ref: LeaseRef) -> None:
        """This process does not work on it any more; called after each run."""
        ...

    def live_leases(self, by_state: dict[str, int]) -> None:
        """How many leases are alive, of all tenants."""
        ...

    def recovered(self, jobs: int) -> None:
        """Jobs of dead workers were taken over."""
        ...
