"""Group commit: waiting calls of one tenant are served together, a lone call goes at once.

While a tenant's group is under way its further calls gather; they are the next group. So nothing ever
waits for company, and the busier a tenant is the fewer transactions each of its calls costs. A tenant has
one group under way, so one whose key is out of reach holds up nobody else; what is scarce (connections of
the database) is bounded by whoever uses it, and only while it is used.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from services.common.errors import CofferError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

MAX_ITEMS: Final = 128
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_UNDER_WAY: Final = 1024
"""Groups at a time, each of another tenant; most of them wait for the database or for kms."""
DATABASE_PLACES: Final = 8
"""Groups of one kind in the database at a time: about half of its connections."""
MAX_WAITING: Final = 4096
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """Bounds of one group, and of all in this process: `waiting` counts the calls that no group has
    taken yet, `waiting_bytes` weighs those and what is under way.

    No tenant may have more calls waiting than there is room left: so calls of tenants whose keys are out of
    reach, however many, leave room for those of the next (as the places of `gateway.places`)."""

    items: int = MAX_ITEMS
    bytes: int = MAX_BYTES
    under_way: int = MAX_UNDER_WAY
    waiting: int = MAX_WAITING
    waiting_bytes: int = MAX_WAITING_BYTES


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item, Outcome]):
    item: Item
    weight: int
    outcome: asyncio.Future[Outcome]


class Grouping(Generic[Item, Outcome]):
    """Hands groups to `serve`, which answers with an outcome or an error for each item, in order.

    When `serve` itself raises a CofferError, every item of the group gets it. Another error may be one
    item's fault, so then each is served by itself: `serve` must not have kept anything. A caller that
    goes away while it waits is left out; one whose group is under way is served all the same, and
    nobody hears of it.
    """

    def __init__(
        self,
        serve: Callable[[UUID, Sequence[Item]], Awaitable[Sequence[Outcome | Exception]]],
        *,
        weigh: Callable[[Item], int] = lambda _item: 0,
        limits: GroupLimits | None = None,
    ) -> None:
        self._serve = serve
        self._weigh = weigh
        self._limits = limits or GroupLimits()
        self._queues: dict[UUID, deque[_Waiting[Item, Outcome]]] = {}
        self._turns: deque[UUID] = deque()
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._waiting = 0
        self._waiting_bytes = 0

    async def submit(self, tenant_id: UUID, item: Item) -> Outcome:
        """The outcome of `item`. Raises its error, or UnavailableError when too much waits."""
        outcome = self._join(tenant_id, item)
        self._start()
        return await outcome

    async def submit_all(
        self, tenant_id: UUID, items: Sequence[Item]
    ) -> list[Outcome | BaseException]:
        """The outcome of each, or its error. They go together where there is room for that."""
        outcomes = [self._join_or_refuse(tenant_id, item) for item in items]
        self._start()
        return await asyncio.gather(*outcomes, return_exceptions=True)

    def _join_or_refuse(self, tenant_id: UUID, item: Item) -> asyncio.Future[Outcome]:
        try:
            return self._join(tenant_id, item)
        except UnavailableError as error:
            refused: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused

    def _join(self, tenant_id: UUID, item: Item) -> asyncio.Future[Outcome]:
        weight = self._weigh(item)
        limits = self._limits
        queue = self._queues.get(tenant_id)
        mine = 0 if queue is None else len(queue)
        if (
            mine >= limits.waiting - self._waiting
            or self._waiting_bytes + weight > limits.waiting_bytes
        ):
            raise UnavailableError("Too many calls are waiting.")
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting += 1
        self._waiting_bytes += weight
        if queue is None:
            queue = self._queues[tenant_id] = deque()
            self._turns.append(tenant_id)
        queue.append(_Waiting(item, weight, outcome))
        return outcome

    async def drain(self) -> None:
        """Wait until nothing is under way or waiting."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())

    def _start(self) -> None:
        """A tenant stands in `_turns` when calls of it wait and none of its groups is under way."""
        while self._turns and len(self._under_way) < self._limits.under_way:
            tenant_id = self._turns.popleft()
            group = self._take(self._queues[tenant_id])
            if not group:
                del self._queues[tenant_id]
                continue
            # In no caller's context: the group is everybody's.
            self._under_way[tenant_id] = asyncio.create_task(
                self._run(tenant_id, group), context=contextvars.Context()
            )

    def _take(self, queue: deque[_Waiting[Item, Outcome]]) -> list[_Waiting[Item, Outcome]]:
        group: list[_Waiting[Item, Outcome]] = []
        weight = 0
        while queue and len(group) < self._limits.items:
            if group and weight + queue[0].weight > self._limits.bytes:
                break
            first = queue.popleft()
            self._waiting -= 1
            if first.outcome.done():
                self._waiting_bytes -= first.weight
            else:
                group.append(first)
                weight += first.weight
        return group

    async def _run(self, tenant_id: UUID, group: list[_Waiting[Item, Outcome]]) -> None:
        try:
            for waiting, outcome in zip(group, await self._outcomes(tenant_id, group), strict=True):
                _settle(waiting.outcome, outcome)
        except Exception as error:  # noqa: BLE001 - each caller gets it and its interceptor logs it
            for waiting in group:
                _settle(waiting.outcome, error)
        finally:
            for waiting in group:
                waiting.outcome.cancel()  # does nothing to one that is settled
                self._waiting_bytes -= waiting.weight
            del self._under_way[tenant_id]
            if self._queues[tenant_id]:
                self._turns.append(tenant_id)
            else:
                del self._queues[tenant_id]
            self._start()

    async def _outcomes(
        self, tenant_id: UUID, group: list[_Waiting[Item, Outcome]]
    ) -> Sequence[Outcome | Exception]:
        try:
            return await self._serve(tenant_id, [waiting.item for waiting in group])
        except CofferError:
            raise
        except Exception as error:  # noqa: BLE001 - one of them may be at fault: each for itself
            if len(group) == 1:
                return [error]
            return [await self._alone(tenant_id, waiting.item) for waiting in group]

    async def _alone(self, tenant_id: UUID, item: Item) -> Outcome | Exception:
        try:
            return (await self._serve(tenant_id, [item]))[0]
        except Exception as error:  # noqa: BLE001 - handed to the one caller it belongs to
            return error


def _settle(future: asyncio.Future[Outcome], outcome: Outcome | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
