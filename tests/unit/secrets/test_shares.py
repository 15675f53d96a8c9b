"""Shares of what is scarce: one tenant's crowd costs the others a turn, and nothing is forgotten."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from services.common.errors import UnavailableError
from services.secrets.shares import Room, Shares
from tests.fakes.secrets_ports import settle

BUSY, QUIET = uuid4(), uuid4()


class Users:
    """Callers that hold their place until `gate` lets one more of them go."""

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.inside: list[UUID] = []
        self.seen: list[UUID] = []
        self.gate = asyncio.Semaphore(0)
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, tenant_id: UUID) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(self._use(tenant_id)))
        return self.tasks[-1]

    async def _use(self, tenant_id: UUID) -> None:
        async with self.shares.of(tenant_id):
            self.inside.append(tenant_id)
            self.seen.append(tenant_id)
            try:
                await self.gate.acquire()
            finally:
                self.inside.remove(tenant_id)

    async def finish(self) -> None:
        for _ in self.tasks:
            self.gate.release()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_crowd_of_one_tenant_leaves_a_place_to_the_others() -> None:
    users = Users(Shares(3, each=2, waiting=Room(50), all_waiting=Room(50)))
    for _ in range(20):
        users.come(BUSY)
    users.come(QUIET)
    await settle()
    assert sorted(users.inside) == sorted([BUSY, BUSY, QUIET])
    await users.finish()
    assert len(users.seen) == 21


async def test_turns_go_by_tenant_and_not_by_call() -> None:
    users = Users(Shares(1, each=1, waiting=Room(50), all_waiting=Room(50)))
    for _ in range(10):
        users.come(BUSY)
    await settle()
    for _ in range(3):
        users.come(QUIET)
    await users.finish()
    assert users.seen[:7] == [BUSY, BUSY, QUIET, BUSY, QUIET, BUSY, QUIET]


async def test_too_much_waiting_sends_away_this_tenants_next_call_only() -> None:
    users = Users(Shares(1, each=1, waiting=Room(2), all_waiting=Room(3)))
    for _ in range(3):
        users.come(BUSY)
    await settle()
    with pytest.raises(UnavailableError):
        await users.shares.enter(BUSY)
    users.come(QUIET)
    await settle()
    with pytest.raises(UnavailableError):
        await users.shares.enter(QUIET)  # the room for all is full as well
    await users.finish()
    assert len(users.seen) == 4


async def test_a_caller_that_goes_away_leaves_no_place_behind() -> None:
    shares = Shares(1, each=1, waiting=Room(9), all_waiting=Room(9))
    users = Users(shares)
    users.come(BUSY)
    gone = [users.come(BUSY) for _ in range(3)]
    last = users.come(QUIET)
    await settle()
    for task in gone:
        task.cancel()
    users.gate.release()
    await settle()
    assert users.inside == [QUIET]
    last.cancel()
    await settle()
    async with asyncio.timeout(1), shares.of(BUSY):
        pass
    assert not shares._tenants
    assert not shares._turns
    assert (shares._free, shares._crowd.calls) == (1, 0)


async def test_what_waits_is_bounded_by_its_size_and_small_calls_still_fit() -> None:
    shares = Shares(1, each=1, waiting=Room(9, 100), all_waiting=Room(9, 150))
    await shares.enter(BUSY, 1000)  # does not wait
    waiting = [asyncio.create_task(shares.enter(BUSY, 90))]
    await settle()
    with pytest.raises(UnavailableError):
        await shares.enter(BUSY, 11)
    waiting += [asyncio.create_task(shares.enter(*call)) for call in ((BUSY, 10), (QUIET, 50))]
    await settle()
    with pytest.raises(UnavailableError):
        await shares.enter(QUIET, 1)  # the room for all is full as well
    for tenant_id in (BUSY, BUSY, QUIET, BUSY):
        shares.leave(tenant_id)
        await settle()
    assert all(task.done() for task in waiting)


async def test_a_caller_that_goes_away_makes_room_at_once() -> None:
    shares = Shares(1, each=1, waiting=Room(1, 50), all_waiting=Room(1, 50))
    await shares.enter(BUSY)
    for _ in range(3):
        gone = asyncio.create_task(shares.enter(QUIET, 50))
        await settle()
        gone.cancel()
        await settle()
    last = asyncio.create_task(shares.enter(QUIET, 50))
    await settle()
    shares.leave(BUSY)
    await last
    shares.leave(QUIET)
    assert not shares._tenants


async def test_a_caller_that_goes_away_as_its_turn_comes_hands_it_on() -> None:
    shares = Shares(1, each=1, waiting=Room(9), all_waiting=Room(9))
    await shares.enter(BUSY)
    next_one = asyncio.create_task(shares.enter(QUIET))
    await settle()
    shares.leave(BUSY)
    next_one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await next_one
    async with asyncio.timeout(1), shares.of(BUSY):
        pass
