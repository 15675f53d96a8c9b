"""Turns: callers that name the same thing go one after another, others go past them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from services.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

Key = TypeVar("Key", bound="Hashable")


MAX_USERS: Final = 256
"""Of one key, at it and waiting."""


class Turns(Generic[Key]):
    """Holds a lock for each key somebody is at; none for the others."""

    def __init__(self, max_users: int = MAX_USERS) -> None:
        self._max_users = max_users
        self._locks: dict[Key, asyncio.Lock] = {}
        self._users: dict[Key, int] = {}

    @contextlib.asynccontextmanager
    async def of(self, key: Key) -> AsyncIterator[None]:
        """This caller's turn at `key`. Raises UnavailableError when too many wait for theirs."""
        if self._users.get(key, 0) >= self._max_users:
            raise UnavailableError("Too many calls are waiting.")
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] = self._users.get(key, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]
