"""Which API key was used when, and how often: collected here, written every few seconds.

No call waits for it. Not promised: that what a process has not written yet outlives its SIGKILL, or that a
count is written once where the connection was lost while it was committed. When a key was used is written
later where somebody holds its row, and not at all if that is so until the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from services.common.errors import CofferError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from uuid import UUID

    from services.common.database import Database

FLUSH_SECONDS: Final = 5.0
MAX_COLLECTED: Final = 65_536
"""Keys and minutes kept while the database does not answer, about 20 MiB; more are not recorded."""
MAX_ROWS: Final = 4_096
"""Of one statement."""

_RECORD: Final = (
    "select left_tenant, left_key, left_minute"
    " from tenancy.record_use(%s::uuid[], %s::text[], %s::timestamptz[], %s::bigint[])"
)
_MINUTE: Final = timedelta(minutes=1)

_log = structlog.get_logger(__name__)

Use = tuple["UUID", str, datetime]
"""A key, and the minute it was used in."""


def _now() -> datetime:
    return datetime.now(UTC)


class UseRecorder:
    """Collects uses of API keys and writes them. Belongs to one event loop."""

    def __init__(self, database: Database, now: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._now = now
        self._calls: dict[Use, int] = {}
        self._writing = asyncio.Lock()
        self._minute = datetime.min.replace(tzinfo=UTC)

    def note(self, tenant_id: UUID, key_id: str) -> None:
        """One call with this key, now."""
        now = self._now()
        if not self._minute <= now < self._minute + _MINUTE:
            self._minute = now.replace(second=0, microsecond=0)
        use = (tenant_id, key_id, self._minute)
        known = self._calls.get(use)
        if known is None and len(self._calls) >= MAX_COLLECTED:
            return
        self._calls[use] = (known or 0) + 1

    async def flush(self) -> None:
        """Write what was noted before. Raises UnavailableError and DeadlineError; then it is kept."""
        async with self._writing:
            collected, self._calls = self._calls, {}
            uses = list(collected.items())
            for start in range(0, len(uses), MAX_ROWS):
                part = dict(uses[start : start + MAX_ROWS])
                try:
                    await self._write(part)
                except BaseException:
                    for use, calls in uses[start:]:
                        self._calls[use] = self._calls.get(use, 0) + calls
                    raise

    async def run(self, stop: asyncio.Event) -> None:
        """Write every FLUSH_SECONDS until `stop` is set, and then what is left."""
        last = False
        while not last:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLUSH_SECONDS)
            last = stop.is_set()
            await self._try()

    async def _try(self) -> None:
        try:
            await self.flush()
        except CofferError as error:
            _log.warning("use_not_recorded", code=error.code, waiting=len(self._calls))

    async def _write(self, uses: Mapping[Use, int]) -> None:
        if not uses:
            return
        tenants, keys, minutes = zip(*uses, strict=True)
        left = await self._database.write(
            _RECORD, (list(tenants), list(keys), list(minutes), list(uses.values()))
        )
        # The calls are counted; when the key was used could not be said, its row being held by somebody.
        for tenant_id, key_id, minute in left:
            self._calls.setdefault((tenant_id, key_id, minute), 0)


@contextlib.asynccontextmanager
async def recording(recorder: UseRecorder) -> AsyncIterator[None]:
    """Let `recorder` write while the block runs; what is left is written when it ends."""
    stop = asyncio.Event()
    # Told to stop and not cancelled: a statement that was sent may have been done.
    task = asyncio.create_task(recorder.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task
