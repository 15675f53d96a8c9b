"""How fast a lease may go. The bound itself is kept in its row, over all who work on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.rewrap.model import LeaseRef
    from services.rewrap.ports import LeaseStore

_LOOK_SECONDS: Final = 0.5
"""A changed throttle is noticed so soon by who waits under the old one."""


class Throttle:
    """This process's lanes of one lease, waiting for the store's admission one after another.

    Promised: no more keys are let through than the store admits. What was admitted and not there to be
    moved is given back with the next question.
    """

    def __init__(
        self,
        ref: LeaseRef,
        store: LeaseStore,
        sleep: Callable[[float], Awaitable[None]],
        *,
        throttled: bool,
    ) -> None:
        self._ref = ref
        self._store = store
        self._sleep = sleep
        self._throttled = throttled
        self._unused = 0
        self._lock = asyncio.Lock()

    def set(self, *, throttled: bool) -> None:
        """Whether there is a bound, as the store last said."""
        self._throttled = throttled

    async def admit(self, keys: int, halted: Callable[[], bool]) -> int:
        """Return when keys may be moved, and how many; 0 when halted. Raises as the store."""
        if not self._throttled:
            return keys
        async with self._lock:
            while not halted():
                unused, self._unused = self._unused, 0
                admission = await self._store.admit(self._ref, keys, unused)
                if admission is None:
                    return keys
                if admission.keys:
                    return admission.keys
                await self._sleep(min(admission.delay_seconds, _LOOK_SECONDS))
        return 0

    def give_back(self, keys: int) -> None:
        """Of those admitted, so many were not moved after all."""
        if self._throttled:
            self._unused += keys
