"""The network between two processes, which a test may break: cut, silent, or late."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

PIECE = 65_536
STEP_SECONDS = 30.0


class Line(Enum):
    """What becomes of what is sent."""

    WHOLE = "whole"
    CUT = "cut"
    """Connections are reset, and new ones too."""
    SILENT = "silent"
    """Connections stay open, new ones are accepted, and every byte is lost. When the line is whole again
    those that lost something are reset, as a peer does that has forgotten them."""
    LATE = "late"
    """As SILENT, but nothing is lost: it arrives when the line is whole again, as a peer's kernel sends it
    again and again."""


class _Connection:
    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.lost = False

    def reset(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Link:
    """Listens on a port of 127.0.0.1 and hands on to where `target` says (`host:port`, or a socket's path).

    `target` is asked at each connection, so that it need not be known before the first. Lives in a thread
    of its own; leave the context to end it.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._line = Line.WHOLE
        self._whole = asyncio.Event()
        self._whole.set()
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def broken(self, line: Line) -> Iterator[None]:
        """The line is so meanwhile, and whole again afterwards."""
        self.set(line)
        try:
            yield
        finally:
            self.set(Line.WHOLE)

    def set(self, line: Line) -> None:
        """From now on, also for open connections."""
        self._run(self._set(line))

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(STEP_SECONDS)

    async def _set(self, line: Line) -> None:
        self._line = line
        if line is Line.LATE:
            self._whole.clear()
        else:
            self._whole.set()
        for connection in list(self._connections):
            if line is Line.CUT or (line is Line.WHOLE and connection.lost):
                connection.reset()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.reset()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection()
        connection.writers.append(writer)
        self._connections.add(connection)
        try:
            if self._line is Line.CUT:
                return
            onward_reader, onward_writer = await self._reach()
            connection.writers.append(onward_writer)
            pumps = [
                asyncio.create_task(self._pump(connection, reader, onward_writer)),
                asyncio.create_task(self._pump(connection, onward_reader, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # nobody listens there at present
        finally:
            connection.reset()
            self._connections.discard(connection)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = self._target()
        if target.startswith("/"):
            return await asyncio.open_unix_connection(Path(target))
        host, _, port = target.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _pump(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                await self._whole.wait()
                if self._line is Line.SILENT or connection.lost:
                    connection.lost = True
                    continue
                writer.write(data)
                await writer.drain()
