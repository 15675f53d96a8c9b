"""Waiting look-ups share one: whoever asks while one is under way is served by the next. Pure.

Promised: what `get` gives was read after it was called, so that a caller never sees a state from before its
own request. The same key asked for by many at a time is looked up once.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

Key = TypeVar("Key")
Value = TypeVar("Value")

MAX_KEYS: Final = 256
"""Of one look-up; the others wait for the next."""


class Coalescer(Generic[Key, Value]):
    """Belongs to one event loop. `fetch` answers with what it found of the keys it was given."""

    def __init__(
        self,
        fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]],
        *,
        max_keys: int = MAX_KEYS,
    ) -> None:
        self._fetch = fetch
        self._max_keys = max_keys
        self._waiting: dict[Key, asyncio.Future[Value | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Value | None:
        """What there is for `key` now, or None. Raises what `fetch` raises."""
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._task is None:
            # In no caller's context: the look-up is everybody's.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        return await asyncio.shield(answer)  # a caller that goes away takes nobody's answer along

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._max_keys]
                answers = {key: self._waiting.pop(key) for key in keys}
                await self._answer(answers)
        finally:
            self._task = None

    async def _answer(self, answers: Mapping[Key, asyncio.Future[Value | None]]) -> None:
        try:
            found = await self._fetch(list(answers))
        except Exception as error:  # noqa: BLE001 - every waiter gets it
            for answer in answers.values():
                answer.set_exception(error)
                answer.exception()  # looked at, also when its waiters have gone
        else:
            for key, answer in answers.items():
                answer.set_result(found.get(key))
        finally:
            for answer in answers.values():
                answer.cancel()  # does nothing to one that has its answer
