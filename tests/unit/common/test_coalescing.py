"""Look-ups that are shared, and what must not be shared."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from services.common.coalescing import Coalescer

if TYPE_CHECKING:
    from collections.abc import Sequence


class Registry:
    """Knows some keys; answers when `gate` is open."""

    def __init__(self) -> None:
        self.known = {"a": 1, "b": 2}
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def fetch(self, keys: Sequence[str]) -> dict[str, int]:
        self.asked.append(list(keys))
        found = {key: self.known[key] for key in keys if key in self.known}
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return found


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_hundred_askers_of_one_key_cost_two_look_ups_at_most() -> None:
    registry = Registry()
    coalescer = Coalescer(registry.fetch)
    askers = [asyncio.create_task(coalescer.get("a")) for _ in range(50)]
    await settle()
    askers += [asyncio.create_task(coalescer.get("a")) for _ in range(50)]
    registry.gate.set()
    assert await asyncio.gather(*askers) == [1] * 100
    assert registry.asked == [["a"], ["a"]]


async def test_nobody_is_answered_from_before_he_asked() -> None:
    registry = Registry()
    coalescer = Coalescer(registry.fetch)
    early = asyncio.create_task(coalescer.get("a"))
    await settle()  # the look-up has read the key
    del registry.known["a"]  # it is revoked
    late = asyncio.create_task(coalescer.get("a"))
    await settle()
    registry.gate.set()
    assert await early == 1
    assert await late is None


async def test_an_unknown_key_is_nobodys() -> None:
    registry = Registry()
    registry.gate.set()
    coalescer = Coalescer(registry.fetch)
    assert await coalescer.get("x") is None
    assert await coalescer.get("b") == 2


async def test_a_failed_look_up_fails_its_askers_and_not_the_next() -> None:
    registry = Registry()
    registry.gate.set()
    registry.error = RuntimeError("away")
    coalescer = Coalescer(registry.fetch)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await coalescer.get("a")
    registry.error = None
    assert await coalescer.get("a") == 1


async def test_an_asker_that_goes_away_takes_nobody_along() -> None:
    registry = Registry()
    coalescer = Coalescer(registry.fetch)
    first, second = (asyncio.create_task(coalescer.get("a")) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    registry.gate.set()
    assert await second == 1


async def test_a_crowd_of_keys_is_looked_up_in_bounded_parts() -> None:
    registry = Registry()
    registry.gate.set()
    coalescer = Coalescer(registry.fetch, max_keys=3)
    await asyncio.gather(*(coalescer.get(str(n)) for n in range(8)))
    assert [len(keys) for keys in registry.asked] == [3, 3, 2]
