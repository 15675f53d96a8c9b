"""The windows of API keys' rate limits: rows of the database, so that a limit is one limit however many
processes serve the key.

Waiting calls of a process share one statement, and there is one at a time: a key that hammers takes one
connection, not all of them.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.common.rate_limits import Taken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from services.common.database import Database
    from services.common.rate_limits import RateLimit

MAX_BATCH: Final = 256
"""Calls that one statement takes; the others wait for the next."""

_TAKE: Final = """
    select t.tenant_id, t.key_id, t.granted, t.used, t.ends_at, t.ends_in
    from tenancy.take_calls(%s::uuid[], %s::text[], %s::integer[], %s::integer[], %s::integer[]) t
"""


@dataclass(frozen=True, slots=True)
class _Waiting:
    key: tuple[UUID, str]
    limit: RateLimit
    answer: asyncio.Future[Taken]


class RateLimiter:
    """Takes calls out of the windows of `database`. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def take(self, tenant_id: UUID, key_id: str, limit: RateLimit) -> Taken:
        """Count one call of this key, unless its window is used up: a refused call is not counted.

        A call that is given up while it waits may have been counted. Raises UnavailableError and
        DeadlineError: then the call must not go on.
        """
        answer: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting((tenant_id, key_id), limit, answer))
        if self._task is None:
            # In no caller's context: the statement is everybody's.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                await self._serve(batch)
        finally:
            self._task = None

    async def _serve(self, batch: Sequence[_Waiting]) -> None:
        calls: dict[tuple[UUID, str], list[_Waiting]] = {}
        for waiting in batch:
            calls.setdefault(waiting.key, []).append(waiting)
        try:
            rows = await self._database.write(_TAKE, _parameters(calls))
            for tenant_id, key_id, *window in rows:
                _answer(calls[tenant_id, key_id], *window)
        except Exception as error:  # noqa: BLE001 - every waiter gets it
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        finally:
            for waiting in batch:
                waiting.answer.cancel()  # does nothing to one that has its answer


def _parameters(calls: Mapping[tuple[UUID, str], Sequence[_Waiting]]) -> Sequence[list[Any]]:
    # Where a limit was changed between two calls that wait together, the later one holds for both.
    limits = [waiting[-1].limit for waiting in calls.values()]
    return (
        [tenant_id for tenant_id, _ in calls],
        [key_id for _, key_id in calls],
        [limit.calls for limit in limits],
        [limit.seconds for limit in limits],
        [len(waiting) for waiting in calls.values()],
    )


def _answer(
    calls: Sequence[_Waiting], granted: int, used: int, ends_at: Any, ends_in: float
) -> None:
    """The first `granted` calls are allowed; they are the last of `used`."""
    limit = calls[-1].limit.calls
    for number, waiting in enumerate(calls, start=1):
        taken = Taken(
            allowed=number <= granted,
            limit=limit,
            remaining=max(limit - (used - granted + min(number, granted)), 0),
            resets_at=math.ceil(ends_at.timestamp()),
            retry_after=max(math.ceil(ends_in), 1),
        )
        if not waiting.answer.done():
            waiting.answer.set_result(taken)
