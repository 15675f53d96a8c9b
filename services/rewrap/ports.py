"""What rewrap needs of the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.rewrap.model import (
        Batch,
        BatchDone,
        Lease,
        LeasePage,
        LeaseRef,
        LiveLeases,
        Pace,
        Settled,
        Taken,
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
    """The lease as a worker moves it along. Every call is one transaction and may be repeated.

    A call under an old fence, or on a lease that is no longer running, changes nothing. Raises
    UnavailableError, DeadlineError.
    """

    async def take(self, ref: LeaseRef, *, lanes: int, batch: int) -> Taken | None:
        """Take a runnable lease: raise its fence, make it `running`; count and divide it if new.

        None when it may not be worked on (any more), or not yet.
        """
        ...

    async def report(self, ref: LeaseRef, fence: int, rate_per_second: float | None) -> Pace | None:
        """Show the rate; returns how fast it may go. None when the lease is no longer ours."""
        ...

    async def settle(self, ref: LeaseRef, fence: int, *, lanes: int, batch: int) -> Settled | None:
        """End the lease whose lanes are through, with its audit event, or give it new lanes.

        None when the lease is no longer ours.
        """
        ...

    async def wait(
        self, ref: LeaseRef, fence: int, *, attempts: int, delay_seconds: float, error: str
    ) -> bool:
        """Make it `waiting` for so long. False when it is no longer ours."""
        ...

    async def release(self, ref: LeaseRef, fence: int) -> bool:
        """Make it `enqueued` again, for anybody to take. False when it is no longer ours."""
        ...


class Batches(Protocol):
    """secrets, that does the work."""

    async def rewrap(self, batch: Batch) -> BatchDone:
        """Do one batch. Raises CofferError; what was asked for may then have been done or not."""
        ...


class LeaseWatch(Protocol):
    """The live leases of all tenants."""

    async def live(self) -> LiveLeases:
        """Which there are. Raises UnavailableError, DeadlineError."""
        ...


class JobQueue(Protocol):
    """Hands leases to workers, on this machine and others."""

    async def enqueue(self, refs: Sequence[LeaseRef]) -> int:
        """Give each lease that has none a job; returns how many got one. Raises UnavailableError."""
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

    def live_leases(self, by_state: dict[str, int]) -> None:
        """How many leases are alive, of all tenants."""
        ...

    def recovered(self, jobs: int) -> None:
        """Jobs of dead workers were taken over."""
        ...
