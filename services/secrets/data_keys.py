"""A small pool of unused data keys per busy tenant, so that not every create is a call to kms.

A tenant's first create asks kms for one key. A tenant that used keys within the last second gets as
many more as it used, so that a busy tenant calls kms about once a second. Keys are dropped, wiped, after
the time kms allows and never later than MAX_SECONDS, and when their master-key version is not active.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.common.errors import UnavailableError
from services.common.identity import Call, current_call
from services.secrets.acting import act_for
from services.secrets.clock import boot_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from services.secrets.model import DataKey
    from services.secrets.ports import Kms, Observer

MAX_SECONDS: Final = 30.0
"""Never used later than this after they were asked for, whatever kms allows."""
MAX_STOCK: Final = 64
"""Unused keys of one tenant."""
MAX_PER_CALL: Final = 256
"""What one call to kms gives (its contract)."""
MAX_TENANTS: Final = 1024
"""Tenants with unused keys at a time; beyond it a tenant gets just the keys it waits for."""
MAX_WAITING: Final = 1024
"""Calls of one tenant that wait for a key; each has a value in hand."""
MAX_ALL_WAITING: Final = 4096
"""No tenant's calls take more of it than is left."""
_RECENT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Who waits for a key."""

    key: asyncio.Future[DataKey]
    call: Call | None


@dataclass(slots=True)
class _Shelf:
    """One tenant's keys, and who waits for one."""

    stock: deque[DataKey] = field(default_factory=deque)
    waiting: deque[_Waiting] = field(default_factory=deque)
    fetch: asyncio.Task[None] | None = None
    expiry: asyncio.TimerHandle | None = None
    taken: int = 0
    taken_since: float = 0.0
    taken_before: int = 0


class DataKeyPool:
    """Hands out data keys, each once. Whoever takes one seals with it at once and wipes it."""

    def __init__(
        self,
        kms: Kms,
        observer: Observer,
        *,
        max_stock: int = MAX_STOCK,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self._kms = kms
        self._observer = observer
        self._max_stock = max_stock
        self._clock = clock
        self._shelves: dict[UUID, _Shelf] = {}
        self._waiting = 0

    async def take(self, tenant_id: UUID) -> DataKey:
        """An unused, usable data key. Raises what kms answers (tenant_sealed, unavailable...), and
        UnavailableError when too many wait for one."""
        shelf = self._shelves.setdefault(tenant_id, _Shelf())
        self._count(shelf)
        key = self._usable(shelf)
        self._observer.key_taken(from_stock=key is not None)
        if key is not None:
            return key
        if len(shelf.waiting) >= min(MAX_WAITING, MAX_ALL_WAITING - self._waiting):
            raise UnavailableError("Too many calls wait for a data key.")
        future: asyncio.Future[DataKey] = asyncio.get_running_loop().create_future()
        shelf.waiting.append(_Waiting(future, _caller()))
        self._waiting += 1
        self._fetch(tenant_id, shelf)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().plaintext.wipe()
                self._observer.keys_wiped(1)
            raise
        finally:
            self._waiting -= 1

    def drop(self, tenant_id: UUID) -> None:
        """Wipe a tenant's unused keys: their master-key version is not active any more."""
        shelf = self._shelves.get(tenant_id)
        if shelf is not None:
            self._wipe(shelf)
            if shelf.fetch is None:
                self._watch_expiry(tenant_id, shelf)

    async def aclose(self) -> None:
        """Wipe everything; whoever waits is told to go."""
        for shelf in list(self._shelves.values()):
            self._wipe(shelf)
            if shelf.fetch is not None:
                shelf.fetch.cancel()
                await asyncio.gather(shelf.fetch, return_exceptions=True)
        self._shelves.clear()

    def stock(self, tenant_id: UUID) -> int:
        """How many unused keys there are."""
        shelf = self._shelves.get(tenant_id)
        return len(shelf.stock) if shelf else 0

    def _count(self, shelf: _Shelf) -> None:
        now = self._clock()
        elapsed = now - shelf.taken_since
        if elapsed > _RECENT_SECONDS:
            shelf.taken_before = shelf.taken if elapsed < 2 * _RECENT_SECONDS else 0
            shelf.taken, shelf.taken_since = 0, now
        shelf.taken += 1

    def _usable(self, shelf: _Shelf) -> DataKey | None:
        now = self._clock()
        while shelf.stock:
            key = shelf.stock.popleft()
            if now < key.usable_until:
                return key
            key.plaintext.wipe()
            self._observer.keys_wiped(1)
        return None

    def _fetch(self, tenant_id: UUID, shelf: _Shelf) -> None:
        """One call at a time for a tenant, outside every caller's context: it is for all of them, and
        must not end with one of them. It carries the request id of the first."""
        if shelf.fetch is None:
            shelf.fetch = asyncio.create_task(
                self._fill(tenant_id, shelf), context=contextvars.Context()
            )

    async def _fill(self, tenant_id: UUID, shelf: _Shelf) -> None:
        calls = [one.call for one in shelf.waiting if one.call and not one.key.done()]
        act_for(calls)
        self._observer.grouped("data_keys", calls)
        try:
            keys = await self._kms.generate(tenant_id, self._wanted(shelf))
        except asyncio.CancelledError:
            for waiting in shelf.waiting:
                waiting.key.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
            self._hand_on(shelf, error)
        else:
            self._observer.keys_made(len(keys))
            shelf.stock.extend(keys)
            self._hand_out(shelf)
        shelf.fetch = None
        if shelf.waiting:
            self._fetch(tenant_id, shelf)
        else:
            self._watch_expiry(tenant_id, shelf)

    def _wanted(self, shelf: _Shelf) -> int:
        """As many as wait, and as many again as were used lately by others than these."""
        waiting = sum(not one.key.done() for one in shelf.waiting)
        lately = max(shelf.taken, shelf.taken_before)
        reserve = 0
        if lately > 1 and len(self._shelves) <= MAX_TENANTS:
            reserve = min(lately, self._max_stock)
        return max(1, min(waiting + reserve, MAX_PER_CALL))

    def _hand_out(self, shelf: _Shelf) -> None:
        while shelf.waiting and shelf.stock:
            if shelf.waiting[0].key.done():
                shelf.waiting.popleft()
                continue
            key = self._usable(shelf)
            if key is None:
                return
            shelf.waiting.popleft().key.set_result(key)

    @staticmethod
    def _hand_on(shelf: _Shelf, error: Exception) -> None:
        while shelf.waiting:
            waiting = shelf.waiting.popleft()
            if not waiting.key.done():
                waiting.key.set_exception(error)

    def _watch_expiry(self, tenant_id: UUID, shelf: _Shelf) -> None:
        if shelf.expiry is not None:
            shelf.expiry.cancel()
            shelf.expiry = None
        if not shelf.stock:
            if self._clock() - shelf.taken_since > _RECENT_SECONDS:
                self._shelves.pop(tenant_id, None)
                return
            delay = _RECENT_SECONDS
        else:
            delay = max(0.0, shelf.stock[0].usable_until - self._clock())
        shelf.expiry = asyncio.get_running_loop().call_later(delay, self._expire, tenant_id, shelf)

    def _expire(self, tenant_id: UUID, shelf: _Shelf) -> None:
        shelf.expiry = None
        now = self._clock()
        while shelf.stock and shelf.stock[0].usable_until <= now:
            shelf.stock.popleft().plaintext.wipe()
            self._observer.keys_wiped(1)
        if shelf.fetch is None and self._shelves.get(tenant_id) is shelf:
            self._watch_expiry(tenant_id, shelf)

    def _wipe(self, shelf: _Shelf) -> None:
        if shelf.expiry is not None:
            shelf.expiry.cancel()
            shelf.expiry = None
        self._observer.keys_wiped(len(shelf.stock))
        while shelf.stock:
            shelf.stock.popleft().plaintext.wipe()


def _caller() -> Call | None:
    try:
        return current_call()
    except LookupError:
        return None
