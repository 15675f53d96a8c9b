"""What would let one caller take a service away from all others, or lose a place for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.places import Bounds, Places
from services.common.errors import DeadlineError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BOUNDS = Bounds(
    calls=7,
    calls_per_key=2,
    waiting=8,
    waiting_per_key=5,
    waiting_bytes=1_000,
    waiting_bytes_per_key=600,
)
GREEDY, OTHER, THIRD, FOURTH = 1, 2, 3, 4


class Crowd:
    """Callers under keys, who keep their place until told to leave."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.places = Places(bounds)
        self.order: list[int] = []
        self._callers: dict[asyncio.Task[None], tuple[int, asyncio.Event]] = {}

    async def come(self, key: int, *, size: int = 1, seconds: float = 60.0) -> asyncio.Task[None]:
        leave = asyncio.Event()
        task = asyncio.create_task(self._call(key, size, seconds, leave))
        self._callers[task] = (key, leave)
        await settle()
        return task

    async def _call(self, key: int, size: int, seconds: float, leave: asyncio.Event) -> None:
        if not self.places.take(key):
            await self.places.wait(key, size, asyncio.get_running_loop().time() + seconds)
        self.order.append(key)
        try:
            await leave.wait()
        finally:
            self.places.give_back(key)

    def place_of(self, task: asyncio.Task[None]) -> Callable[[], None]:
        """Tells a caller to leave, and does not wait until it has."""
        return self._callers[task][1].set

    async def leave(self, task: asyncio.Task[None]) -> None:
        self._callers.pop(task)[1].set()
        await settle()

    async def end(self) -> None:
        for task in self._callers:
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    crowd = Crowd()
    yield crowd
    await crowd.end()
    assert crowd.places.idle


async def test_one_key_whose_calls_hang_leaves_places_for_others(crowd: Crowd) -> None:
    for _ in range(6):
        await crowd.come(GREEDY)
    assert crowd.order == [GREEDY] * 2
    await crowd.come(OTHER)
    await crowd.come(THIRD)
    assert crowd.order == [GREEDY, GREEDY, OTHER, THIRD]


async def test_keys_take_turns_however_many_calls_one_of_them_has_waiting(crowd: Crowd) -> None:
    keys = (OTHER, OTHER, THIRD, THIRD, FOURTH, FOURTH, 5)
    held = [await crowd.come(key) for key in keys]
    for key in (GREEDY, GREEDY, GREEDY, 6, 7):
        await crowd.come(key)
    crowd.order.clear()
    for task in held:
        await crowd.leave(task)
    assert crowd.order == [GREEDY, 6, 7, GREEDY]


async def test_many_keys_whose_calls_hang_leave_a_place_for_the_next() -> None:
    crowd = Crowd(replace(BOUNDS, calls=20, calls_per_key=12, waiting=300, waiting_per_key=300))
    for _ in range(20):
        for key in range(9):
            await crowd.come(key)
    assert Counter(crowd.order) == dict.fromkeys(range(9), 2)
    before = len(crowd.order)
    await crowd.come(10)
    assert len(crowd.order) == before + 1
    await crowd.end()
    assert crowd.places.idle


async def test_a_key_takes_what_the_others_leave_and_no_more() -> None:
    crowd = Crowd(replace(BOUNDS, calls=20, calls_per_key=20, waiting=300, waiting_per_key=300))
    first = [await crowd.come(GREEDY) for _ in range(20)]
    assert crowd.order == [GREEDY] * 10
    for _ in range(20):
        await crowd.come(OTHER)
    assert Counter(crowd.order) == {GREEDY: 10, OTHER: 5}
    for task in first[:8]:
        await crowd.leave(task)
    # As they leave, both come to have the same: seven, and six are free.
    assert Counter(crowd.order) == {GREEDY: 8 + 7, OTHER: 7}
    await crowd.end()
    assert crowd.places.idle


async def test_a_place_goes_to_its_own_key_when_that_was_at_its_share(crowd: Crowd) -> None:
    first = await crowd.come(GREEDY)
    for _ in range(3):
        await crowd.come(GREEDY)
    crowd.order.clear()
    await crowd.leave(first)
    assert crowd.order == [GREEDY]


async def test_a_flood_under_one_key_leaves_the_waiting_room_to_others(crowd: Crowd) -> None:
    flood = [await crowd.come(GREEDY) for _ in range(8)]
    assert isinstance(flood[-1].exception(), UnavailableError)
    assert Counter(task.done() for task in flood) == {False: 7, True: 1}
    for key in (OTHER, THIRD):
        held = [await crowd.come(key) for _ in range(3)]
        assert not any(task.done() for task in held)
    turned_away = await crowd.come(FOURTH)
    assert not turned_away.done()  # the last place
    for _ in range(2):
        turned_away = await crowd.come(FOURTH)
    assert isinstance(turned_away.exception(), UnavailableError)


async def test_waiting_requests_are_bounded_in_bytes_too(crowd: Crowd) -> None:
    for key in (GREEDY, OTHER, THIRD):
        await crowd.come(key)
        await crowd.come(key)
    await crowd.come(GREEDY, size=600)
    one_more = await crowd.come(GREEDY, size=1)
    assert isinstance(one_more.exception(), UnavailableError)
    await crowd.come(OTHER, size=400)
    one_more = await crowd.come(THIRD, size=1)
    assert isinstance(one_more.exception(), UnavailableError)


async def test_who_gives_up_frees_the_waiting_room_and_keeps_no_place(crowd: Crowd) -> None:
    held = [await crowd.come(GREEDY) for _ in range(2)]
    late = await crowd.come(GREEDY, size=600, seconds=0.0)
    gone = await crowd.come(GREEDY, size=1)
    gone.cancel()
    await crowd.leave(held[0])
    with pytest.raises(DeadlineError):
        await late
    await crowd.come(GREEDY, size=600)
    assert crowd.order == [GREEDY] * 3


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_place_given_to_somebody_who_leaves_at_that_moment_is_not_lost(
    crowd: Crowd, *, cancel_first: bool
) -> None:
    held = [await crowd.come(GREEDY) for _ in range(2)]
    leaving = await crowd.come(GREEDY)
    staying = await crowd.come(GREEDY)
    release = crowd.place_of(held[0])
    if cancel_first:
        leaving.cancel()
        release()
    else:
        release()
        await asyncio.sleep(0)
        leaving.cancel()
    await settle()
    assert leaving.cancelled()
    assert not staying.done()
    assert crowd.order == [GREEDY] * 3


async def test_any_order_of_coming_leaving_and_giving_up_ends_with_all_places_free() -> None:
    crowd = Crowd(replace(BOUNDS, waiting=200, waiting_per_key=100))
    tasks = [await crowd.come(n * 7 % 5, seconds=0.0 if n % 11 == 3 else 60.0) for n in range(80)]
    for n, task in enumerate(tasks):
        if n % 3 == 0:
            task.cancel()
        elif not task.done():
            await crowd.leave(task)
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert crowd.places.idle
    assert crowd.places.take(GREEDY)
    crowd.places.give_back(GREEDY)
