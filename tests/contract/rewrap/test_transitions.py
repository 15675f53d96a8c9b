"""The states of a lease: whatever comes in whatever order, it goes no way that the contract does not know."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from services.rewrap import steering
from tests.fakes.rewrap_subjects import KEYS, InMemory, settle, wait

if TYPE_CHECKING:
    from services.rewrap.model import Hold
    from tests.fakes.rewrap_subjects import Subject


MAY_FOLLOW = {
    "claim": {("enqueued", "running"), ("waiting", "running")},
    "settle": {("running", "completed"), ("running", "failed")},
    "wait": {("running", "waiting")},
    "release": {("running", "enqueued")},
    "pause": {(state, "paused") for state in steering.PAUSE.allowed},
    "resume": {("paused", "enqueued")},
    "cancel": {(state, "cancelled") for state in steering.CANCEL.allowed},
    "supersede": {(state, "superseded") for state in steering.LIVE},
}
"""Which call may change a state, and how: the whole of it."""
CALLS = (*MAY_FOLLOW, "claim", "claim", "report", "trouble", "admit", "end_lanes", "pass_time")


class Walk:
    """Calls at random, by several workers and an administrator; each may come at any time."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject = subject
        self.random = random.Random(seed)
        self.held: list[Hold] = []
        self.seen: set[tuple[str, str]] = set()

    async def one(self) -> None:
        before = await self.subject.state()
        if before not in steering.LIVE:
            self.held.clear()
            await self.subject.renew()
            before = await self.subject.state()
        call = self.random.choice(CALLS)
        await getattr(self, call)()
        after = await self.subject.state()
        if before != after:
            assert (before, after) in MAY_FOLLOW.get(call, set()), call
            self.seen.add((before, after))

    def some(self) -> list[Hold]:
        """Holds of one worker; some may have been lost long ago."""
        return self.random.sample(self.held, min(len(self.held), self.random.randint(0, 3)))

    async def claim(self) -> None:
        made = await self.subject.store.claim(
            self.subject.ref, wanted=self.random.randint(0, 3), batch=10, lost=self.some()
        )
        if made is not None:
            assert not {claimed.hold for claimed in made.lanes} & set(self.held)
            self.held += [claimed.hold for claimed in made.lanes]

    async def report(self) -> None:
        told = await self.subject.store.report(self.subject.ref, self.held)
        assert (told is None) == (await self.subject.state() != "running")
        if told is not None:
            lanes = [hold.lane for hold in told.ours]
            assert len(lanes) == len(set(lanes))

    async def settle(self) -> None:
        await settle(self.subject, self.random.choice([0, None]))

    async def wait(self) -> None:
        await wait(self.subject, self.some(), alone=self.random.random() < 0.5)

    async def release(self) -> None:
        await self.subject.store.release(self.subject.ref, self.some())

    async def trouble(self) -> None:
        for hold in self.some():
            await self.subject.store.trouble(self.subject.ref, hold)

    async def admit(self) -> None:
        await self.subject.throttle(self.random.choice([None, 1, 1000]))
        await self.subject.store.admit(self.subject.ref, 10, 0)

    async def end_lanes(self) -> None:
        await self.subject.end_lanes(moving=self.random.choice([0, KEYS]))

    async def pass_time(self) -> None:
        await self.subject.let_time_pass(self.random.choice([1, 10, 30, -3600]))

    async def pause(self) -> None:
        await self.subject.step(steering.PAUSE)

    async def resume(self) -> None:
        await self.subject.step(steering.RESUME)

    async def cancel(self) -> None:
        if self.random.random() < 0.2:
            await self.subject.step(steering.CANCEL)

    async def supersede(self) -> None:
        if self.random.random() < 0.2:
            await self.subject.supersede()


async def test_no_sequence_of_calls_makes_a_transition_that_the_contract_does_not_know(
    subject: Subject,
) -> None:
    walk = Walk(subject, seed=20261122)
    for _ in range(2000 if isinstance(subject, InMemory) else 200):
        await walk.one()
    assert {after for _, after in walk.seen} >= {"running", "waiting", "paused", "completed"}
    if isinstance(subject, InMemory):
        assert walk.seen == set().union(*MAY_FOLLOW.values())
