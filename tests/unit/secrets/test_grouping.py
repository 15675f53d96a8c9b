"""Group commit: nobody waits for company, nobody suffers for a neighbour, everybody gets a turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from services.common.errors import UnavailableError
from services.secrets.grouping import Grouping, GroupLimits

if TYPE_CHECKING:
    from collections.abc import Sequence


class Served:
    """Doubles numbers; waits at `gate`; a negative number fails by itself."""

    def __init__(self) -> None:
        self.groups: list[tuple[UUID, list[int]]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, tenant_id: UUID, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append((tenant_id, list(items)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if 0 in items:
                raise ZeroDivisionError
            return [ValueError(item) if item < 0 else item * 2 for item in items]
        finally:
            self.at_once -= 1


TENANT = uuid4()


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lone_call_goes_at_once_and_alone() -> None:
    served = Served()
    grouping = Grouping(served)
    assert await grouping.submit(TENANT, 4) == 8
    assert served.groups == [(TENANT, [4])]


async def test_what_waits_while_a_group_is_under_way_goes_together() -> None:
    served = Served()
    served.gate.clear()
    grouping = Grouping(served)
    calls = [asyncio.create_task(grouping.submit(TENANT, number)) for number in range(1, 8)]
    await _settle()
    served.gate.set()
    assert await asyncio.gather(*calls) == [number * 2 for number in range(1, 8)]
    assert [len(group) for _, group in served.groups] == [1, 6]


async def test_one_items_failure_is_its_own() -> None:
    served = Served()
    served.gate.clear()
    grouping = Grouping(served)
    calls = [asyncio.create_task(grouping.submit(TENANT, number)) for number in (1, 2, -3, 4)]
    await _settle()
    served.gate.set()
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [found[0], found[1], found[3]] == [2, 4, 8]
    assert isinstance(found[2], ValueError)


async def test_a_group_that_breaks_tells_every_caller_and_the_next_group_goes_on() -> None:
    grouping = Grouping(Served())
    with pytest.raises(ZeroDivisionError):
        await grouping.submit(TENANT, 0)
    assert await grouping.submit(TENANT, 5) == 10


async def test_groups_are_bounded_in_items_and_bytes() -> None:
    served = Served()
    served.gate.clear()
    limits = GroupLimits(items=4, bytes=10)
    grouping = Grouping(served, weigh=lambda item: item, limits=limits)
    numbers = [1, 1, 1, 1, 1, 9, 9, 20, 1]
    calls = [asyncio.create_task(grouping.submit(TENANT, number)) for number in numbers]
    await _settle()
    served.gate.set()
    await asyncio.gather(*calls)
    assert [group for _, group in served.groups] == [[1], [1, 1, 1, 1], [9], [9], [20], [1]]


async def test_a_busy_tenant_does_not_starve_another() -> None:
    served = Served()
    served.gate.clear()
    grouping = Grouping(served, limits=GroupLimits(items=2, under_way=1))
    busy, quiet = uuid4(), uuid4()
    calls = [asyncio.create_task(grouping.submit(busy, number)) for number in range(1, 10)]
    await _settle()
    calls.append(asyncio.create_task(grouping.submit(quiet, 1)))
    await _settle()
    served.gate.set()
    await asyncio.gather(*calls)
    assert [tenant for tenant, _ in served.groups].index(quiet) == 1
    assert served.most_at_once == 1


async def test_tenants_are_never_mixed() -> None:
    served = Served()
    grouping = Grouping(served)
    tenants = [uuid4() for _ in range(5)]
    calls = [grouping.submit(tenants[number % 5], number + 1) for number in range(50)]
    await asyncio.gather(*calls)
    for tenant_id, group in served.groups:
        assert {(number - 1) % 5 for number in group} == {tenants.index(tenant_id)}


async def test_a_caller_that_went_away_while_waiting_is_left_out() -> None:
    served = Served()
    served.gate.clear()
    grouping = Grouping(served)
    calls = [asyncio.create_task(grouping.submit(TENANT, number)) for number in (1, 2, 3)]
    await _settle()
    calls[1].cancel()
    await _settle()
    served.gate.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert [group for _, group in served.groups] == [[1], [3]]
    await grouping.drain()


async def test_too_much_waiting_is_refused_and_not_remembered() -> None:
    served = Served()
    served.gate.clear()
    grouping = Grouping(served, limits=GroupLimits(waiting=6))
    calls = [asyncio.create_task(grouping.submit(TENANT, number)) for number in range(1, 5)]
    await _settle()
    with pytest.raises(UnavailableError):
        await grouping.submit(TENANT, 9)
    served.gate.set()
    await asyncio.gather(*calls)
    assert await grouping.submit(TENANT, 9) == 18


async def test_tenants_whose_calls_get_stuck_leave_room_for_those_of_the_next() -> None:
    served = Served()
    served.gate.clear()
    grouping = Grouping(served, limits=GroupLimits(waiting=40))
    flood = [uuid4() for _ in range(5)]
    stuck = [asyncio.create_task(grouping.submit(flood[n % 5], n)) for n in range(1, 201)]
    await _settle()
    assert sum(task.done() for task in stuck) > 100
    others = [asyncio.create_task(grouping.submit(uuid4(), n)) for n in (1, 2, 3)]
    await _settle()
    assert not any(task.done() for task in others)
    served.gate.set()
    assert await asyncio.gather(*others) == [2, 4, 6]
    await asyncio.gather(*stuck, return_exceptions=True)
