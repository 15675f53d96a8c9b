"""A server that answers every request with the same 201: what the load generator reaches at most."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import uvloop

from benchmarks.children import answer, read_order

BODY = b'{"data":{"filler":"%s"},"meta":{}}' % (b"x" * 480)
"""About as long as the answer to a create."""
ANSWER = (
    b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
    % (
        len(BODY),
        BODY,
    )
)


class Floor(asyncio.Protocol):
    """Parses requests and does nothing with them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Some of a request."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """httptools has seen a whole request."""
        self._transport.write(ANSWER)


async def serve() -> None:
    """Until standard input is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Floor, "127.0.0.1", 0)
    answer({"address": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    read_order()
    uvloop.run(serve())
