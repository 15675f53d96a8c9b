"""Shares of something scarce: places for all, fewer for each tenant, and turns by tenant.

However much one tenant asks for, the next free place goes to the tenant that has waited longest for its
turn, and a tenant that has too much waiting is sent away: so it costs the others one turn each, never more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Room:
    """For so many calls that wait, and for so many bytes of what they say that they hold."""

    calls: int
    total_bytes: int = 0


@dataclass(slots=True)
class _Crowd:
    """Calls that wait, and the bytes that they hold."""

    calls: int = 0
    total_bytes: int = 0

    def add(self, size: int, calls: int = 1) -> None:
        self.calls += calls
        self.total_bytes += size

    def fits(self, size: int, room: Room) -> bool:
        return self.calls < room.calls and self.total_bytes + size <= room.total_bytes


@dataclass(slots=True)
class _Tenant:
    """The places that one tenant holds, and its calls that wait for one, with their sizes."""

    held: int = 0
    waiting: OrderedDict[asyncio.Future[None], int] = field(default_factory=OrderedDict)
    crowd: _Crowd = field(default_factory=_Crowd)


class Shares:
    """`places` in all, at most `each` of them per tenant; `waiting` per tenant, `all_waiting` in all.

    Belongs to one event loop. Keeps nothing of tenants that want nothing.
    """

    def __init__(self, places: int, *, each: int, waiting: Room, all_waiting: Room) -> None:
        self._free = places
        self._each = each
        self._room = waiting
        self._all_room = all_waiting
        self._crowd = _Crowd()
        self._tenants: dict[UUID, _Tenant] = {}
        self._turns: deque[UUID] = deque()

    @contextlib.asynccontextmanager
    async def of(self, tenant_id: UUID) -> AsyncIterator[None]:
        """A place for as long as the block takes. Raises UnavailableError when too much waits."""
        await self.enter(tenant_id)
        try:
            yield
        finally:
            self.leave(tenant_id)

    async def enter(self, tenant_id: UUID, size: int = 0) -> None:
        """Take a place; `leave` must follow. `size` is what the call holds while it waits, in bytes.

        Raises UnavailableError when too much waits. A caller that goes away while it waits never had
        a place, and makes room at once.
        """
        tenant = self._tenants.setdefault(tenant_id, _Tenant())
        if self._free and tenant.held < self._each and not tenant.waiting:
            self._free -= 1
            tenant.held += 1
            return
        if not (tenant.crowd.fits(size, self._room) and self._crowd.fits(size, self._all_room)):
            self._forget(tenant_id, tenant)
            raise UnavailableError("Too many calls are waiting.")
        turn = self._join(tenant_id, tenant, size)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in tenant.waiting:
                self._part(tenant, turn)
                if not tenant.waiting:
                    self._turns.remove(tenant_id)
                    self._forget(tenant_id, tenant)
            elif not turn.cancelled():
                self.leave(tenant_id)
            raise

    def leave(self, tenant_id: UUID) -> None:
        """Give a place back."""
        tenant = self._tenants[tenant_id]
        self._free += 1
        tenant.held -= 1
        self._hand_out()
        self._forget(tenant_id, tenant)

    def _hand_out(self) -> None:
        """A tenant stands in `_turns` as long as calls of it wait; one at its limit is passed over."""
        for _ in range(len(self._turns)):
            if not self._free:
                return
            tenant_id = self._turns.popleft()
            tenant = self._tenants[tenant_id]
            if tenant.held < self._each:
                self._admit_first(tenant)
            if tenant.waiting:
                self._turns.append(tenant_id)
            else:
                self._forget(tenant_id, tenant)

    def _admit_first(self, tenant: _Tenant) -> None:
        """The first call that is still wanted gets a place; those whose callers went away are dropped."""
        while tenant.waiting:
            turn = next(iter(tenant.waiting))
            self._part(tenant, turn)
            if not turn.done():
                self._free -= 1
                tenant.held += 1
                turn.set_result(None)
                return

    def _join(self, tenant_id: UUID, tenant: _Tenant, size: int) -> asyncio.Future[None]:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not tenant.waiting:
            self._turns.append(tenant_id)
        tenant.waiting[turn] = size
        tenant.crowd.add(size)
        self._crowd.add(size)
        return turn

    def _part(self, tenant: _Tenant, turn: asyncio.Future[None]) -> None:
        size = tenant.waiting.pop(turn)
        tenant.crowd.add(-size, -1)
        self._crowd.add(-size, -1)

    def _forget(self, tenant_id: UUID, tenant: _Tenant) -> None:
        if not tenant.held and not tenant.waiting:
            self._tenants.pop(tenant_id, None)
