"""Who may have one of the threads in which calls to clouds are made, so that a slow cloud slows only its own.

Two lanes. A call starts in the fast one, unless the tenant's last call was slow. One that has not ended after
PATIENCE_SECONDS makes its tenant a slow one: what that tenant still waits for moves to the slow lane, and the
call gives its fast place back (as long as there are not too many such stragglers). A call that ends in time
makes its tenant a proven one. Who is not proven has one fast place at a time, and within a lane tenants get
turns, so that one who asks much waits for itself.

So a tenant whose cloud answers waits behind hanging tenants for about PATIENCE_SECONDS and not for their
time-outs, whatever they share: region, endpoint, provider. Not promised: any place at all when more than
STRAGGLERS calls hang at once; who gets none was not asked, and that is no word about its key.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from uuid import UUID

FAST: Final = 48
SLOW: Final = 16
STRAGGLERS: Final = 128
THREADS: Final = FAST + SLOW + STRAGGLERS
"""So many calls are under way at most."""
PATIENCE_SECONDS: Final = 1.0
"""A call that has not ended after this is slow: AWS answers in tens of milliseconds."""
_MAX_KNOWN: Final = 10_000
_UNPROVEN_AT_ONCE: Final = 1
_Place = asyncio.Future["_Lane"]


class _Lane:
    """Places, and who waits for them by tenant. `at_once` tells how many a tenant may have."""

    def __init__(self, places: int, at_once: Callable[[UUID], int]) -> None:
        self._free = places
        self._at_once = at_once
        self._taken: dict[UUID, int] = {}
        self.waiting: OrderedDict[UUID, deque[_Place]] = OrderedDict()

    def grant(self) -> None:
        """Give free places: one to each tenant before any gets its next."""
        while self._free and (tenant_id := self._next()) is not None:
            places = self.waiting.pop(tenant_id)
            place = places.popleft()
            if places:
                self.waiting[tenant_id] = places
            if not place.done():
                self._free -= 1
                self._taken[tenant_id] = self._taken.get(tenant_id, 0) + 1
                place.set_result(self)

    def _next(self) -> UUID | None:
        for tenant_id in self.waiting:
            if self._taken.get(tenant_id, 0) < self._at_once(tenant_id):
                return tenant_id
        return None

    def give_back(self, tenant_id: UUID) -> None:
        """One of the tenant's places is free again."""
        self._free += 1
        left = self._taken.pop(tenant_id) - 1
        if left:
            self._taken[tenant_id] = left
        self.grant()


@dataclass(slots=True)
class _Ticket:
    tenant_id: UUID
    lane: _Lane
    late: bool = False
    straggles: bool = False


class Lanes:
    """Belongs to one event loop. Construction does no I/O."""

    def __init__(
        self,
        *,
        fast: int = FAST,
        slow: int = SLOW,
        stragglers: int = STRAGGLERS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._fast = _Lane(fast, self._at_once)
        self._slow = _Lane(slow, lambda _tenant_id: slow)
        self._stragglers_left = stragglers
        self._patience = patience
        self._proven: OrderedDict[UUID, bool] = OrderedDict()

    @contextlib.asynccontextmanager
    async def take(self, tenant_id: UUID) -> AsyncIterator[None]:
        """A place for one call that begins now. Waits without end: bound it from outside."""
        ticket = _Ticket(tenant_id, await self._place(tenant_id))
        timer = asyncio.get_running_loop().call_later(self._patience, self._late, ticket)
        try:
            yield
        finally:
            timer.cancel()
            self._ended(ticket)

    async def _place(self, tenant_id: UUID) -> _Lane:
        lane = self._fast if self._proven.get(tenant_id, True) else self._slow
        place: _Place = asyncio.get_running_loop().create_future()
        lane.waiting.setdefault(tenant_id, deque()).append(place)
        lane.grant()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                place.result().give_back(tenant_id)  # it was given a place in the same moment
            else:
                self._leave(tenant_id, place)
            raise

    def _leave(self, tenant_id: UUID, place: _Place) -> None:
        for lane in (self._fast, self._slow):
            places = lane.waiting.get(tenant_id)
            if places is not None and place in places:
                places.remove(place)
                if not places:
                    del lane.waiting[tenant_id]

    def _late(self, ticket: _Ticket) -> None:
        ticket.late = True
        self._note(ticket.tenant_id, proven=False)
        self._move(ticket.tenant_id)
        if ticket.lane is self._fast and self._stragglers_left:
            self._stragglers_left -= 1
            ticket.straggles = True
            self._fast.give_back(ticket.tenant_id)

    def _at_once(self, tenant_id: UUID) -> int:
        return FAST if self._proven.get(tenant_id, False) else _UNPROVEN_AT_ONCE

    def _note(self, tenant_id: UUID, *, proven: bool) -> None:
        self._proven[tenant_id] = proven
        self._proven.move_to_end(tenant_id)
        while len(self._proven) > _MAX_KNOWN:
            self._proven.popitem(last=False)

    def _move(self, tenant_id: UUID) -> None:
        """To the slow lane, with everything it waits for."""
        moved = self._fast.waiting.pop(tenant_id, None)
        if moved is not None:
            self._slow.waiting.setdefault(tenant_id, deque()).extend(moved)
            self._slow.grant()

    def _ended(self, ticket: _Ticket) -> None:
        if not ticket.late:
            self._note(ticket.tenant_id, proven=True)
        if ticket.straggles:
            self._stragglers_left += 1
        else:
            ticket.lane.give_back(ticket.tenant_id)
