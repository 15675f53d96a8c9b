"""What is around a worker of rewrap: a queue, an observer, others' calls; and workers put together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.rewrap.lane import Means
from services.rewrap.run import Around, Effort, Ended
from services.rewrap.turns import Turns
from services.rewrap.worker import Worker
from tests.fakes.rewrap_clock import Clock
from tests.fakes.rewrap_leases import Leases

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.rewrap.model import BatchDone, LeaseRef, Report, Seating
    from services.rewrap.ports import Batches, LeaseStore


class Queue:
    """The port `JobQueue`: what is in it, and whether it is crowded, a test says."""

    def __init__(self) -> None:
        self.jobs: list[LeaseRef] = []
        self.wanted: list[Seating] = []
        self.is_crowded = False
        self.dead = 0
        self.broken: Exception | None = None
        self._filled = asyncio.Event()

    async def enqueue(self, wanted: Sequence[Seating]) -> int:
        if self.broken:
            raise self.broken
        self.wanted = list(wanted)
        new = [seating.ref for seating in wanted if seating.ref not in self.jobs]
        self.jobs += new
        if new:
            self._filled.set()
        return len(new)

    async def wait_for_a_job(self) -> None:
        async with asyncio.timeout(5):
            await self._filled.wait()

    async def requeue(self, ref: LeaseRef) -> None:
        self.jobs.append(ref)

    async def recover(self) -> int:
        taken, self.dead = self.dead, 0
        return taken

    async def crowded(self) -> bool:
        return self.is_crowded


class Observer:
    """The port `Observer`, remembering."""

    def __init__(self) -> None:
        self.keys = 0
        self.ends: list[str] = []
        self.held = 0
        self.states: dict[str, int] = {}
        self.jobs_recovered = 0
        self.seen: dict[LeaseRef, Report] = {}

    def batch_done(self, done: BatchDone, seconds: float) -> None:
        self.keys += done.keys

    def run_began(self) -> None:
        self.held += 1

    def run_ended(self, outcome: str) -> None:
        self.held -= 1
        self.ends.append(outcome)

    def lease_seen(self, ref: LeaseRef, report: Report) -> None:
        self.seen[ref] = report

    def lease_left(self, ref: LeaseRef) -> None:
        self.seen.pop(ref, None)

    def live_leases(self, by_state: dict[str, int]) -> None:
        self.states = by_state

    def recovered(self, jobs: int) -> None:
        self.jobs_recovered += jobs


class Hasty:
    """The port `Manners`: gives way to nobody, and remembers what it was told."""

    def __init__(self) -> None:
        self.slowdowns: list[float] = []

    def share(self, keys: int) -> int:
        return keys

    async def give_way(
        self, worked_seconds: float, slowdown: float, halted: Callable[[], bool]
    ) -> None:
        self.slowdowns.append(slowdown)


@dataclass
class Scene:
    """A lease, and one worker of it; `another` is one of another process."""

    leases: Leases
    clock: Clock
    effort: Effort
    queue: Queue = field(default_factory=Queue)
    observer: Observer = field(default_factory=Observer)
    manners: Hasty = field(default_factory=Hasty)

    def __post_init__(self) -> None:
        self.worker = self.another()

    @property
    def states(self) -> list[str]:
        return self.leases.row.states

    def another(
        self, batches: Batches | None = None, store: LeaseStore | None = None, places: int = 4
    ) -> Worker:
        means = Means(
            store or self.leases,
            batches or self.leases,
            self.observer,
            self.manners,
            Turns(places),
            self.clock,
        )
        around = Around(means, self.queue, self.clock.sleep)
        return Worker(around, self.leases, self.effort, chance=lambda: 0.5)

    async def work(self) -> Ended:
        return await self.worker.work(self.leases.ref)


def scene(
    keys: int = 100,
    *,
    lanes: int = 4,
    batch: int = 10,
    slice_seconds: float = 1e9,
    sample: int | None = 0,
) -> Scene:
    """A lease on so many stale keys. Nothing is verified unless the test wants it."""
    clock = Clock()
    return Scene(Leases(clock, keys), clock, Effort(lanes, batch, slice_seconds, sample))
