"""LISTEN on one channel, knowing whether one would have heard.

A notification can be lost with its connection. So the listener says when it is sure (`alive`), and calls
`on_gap` each time it cannot be: who caches what notifications invalidate drops everything then.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import psycopg
import structlog
from psycopg import sql

from services.common.clock import clock
from services.common.database import require_secure

if TYPE_CHECKING:
    from collections.abc import Callable

HEARTBEAT_SECONDS: Final = 5.0
"""How long a listener may go without proof that its connection lives."""
_BEAT_SECONDS: Final = 1.5
_ANSWER_SECONDS: Final = 3.0
_RECONNECT_SECONDS: Final = 0.25

_log = structlog.get_logger(__name__)


class Listener:
    """Listens on `channel`; hands each payload to `on_payload`, in this event loop.

    `on_gap` is called when the connection comes (back) up, before any payload: what was sent meanwhile
    is lost.
    """

    def __init__(
        self,
        dsn: str,
        channel: str,
        *,
        on_payload: Callable[[str], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._dsn = require_secure(dsn)
        self._channel = channel
        self._on_payload = on_payload
        self._on_gap = on_gap
        self._heard_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether every notification until a moment ago would have been heard."""
        return clock() - self._heard_at < HEARTBEAT_SECONDS

    def start(self) -> None:
        """Begin to listen in the background."""
        self._task = asyncio.create_task(self._run(), name=f"listen {self._channel}")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, TimeoutError, OSError) as error:
                self._heard_at = float("-inf")
                _log.warning("listener_lost", channel=self._channel, kind=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn,
            autocommit=True,
            application_name=f"listen {self._channel}",
            connect_timeout=5,
        )
        async with connection:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(self._channel)))
            self._on_gap()
            self._heard_at = clock()
            while True:
                async for note in connection.notifies(timeout=_BEAT_SECONDS):
                    self._on_payload(note.payload)
                asked = clock()
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await connection.execute("select 1")
                self._heard_at = asked
