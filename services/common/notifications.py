"""LISTEN on one channel, knowing whether one would have heard.

A notification can be lost with its connection. So the listener says when it is sure (`alive`), and calls
`on_gap` each time it cannot be: who caches what notifications invalidate drops everything then.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import psycopg
import structlog
from psycopg import sql

from services.common.clock import clock
from services.common.database import PATIENCE, require_secure

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

    `on_gap` is called when the connection is lost, or has given no proof of life for HEARTBEAT_SECONDS,
    however long it takes until it is given up; and when it comes (back) up, before any payload: what was
    sent meanwhile is lost. `alive` is false while `on_gap` runs.
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
        self._watch: asyncio.TimerHandle | None = None

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
                _log.warning("listener_lost", channel=self._channel, kind=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn,
            autocommit=True,
            application_name=f"listen {self._channel}",
            **PATIENCE,
        )
        async with connection:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(self._channel)))
            self._on_gap()
            try:
                await self._follow(connection)
            finally:
                # At once: to give up a connection that hangs takes the driver many seconds more.
                self._lost()

    async def _follow(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._proven(clock())
        while True:
            async for note in connection.notifies(timeout=_BEAT_SECONDS):
                self._on_payload(note.payload)
            asked = clock()
            async with asyncio.timeout(_ANSWER_SECONDS):
                await connection.execute("select 1")
            self._proven(asked)

    def _proven(self, at: float) -> None:
        """The connection lived after `at`; look again when that proof is too old."""
        self._heard_at = at
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_later(
            max(0.0, at + HEARTBEAT_SECONDS - clock()), self._look
        )

    def _look(self) -> None:
        """A loop's clock and ours need not agree to the last digit."""
        if self.alive:
            self._proven(self._heard_at)
        else:
            self._lost()

    def _lost(self) -> None:
        """Nothing can be heard from now on. Once for each loss."""
        self._heard_at = float("-inf")
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
            self._on_gap()
