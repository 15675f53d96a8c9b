"""`python -m gateway`: read the settings, open the channels, serve until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from gateway.forwarding import TrustedProxies
from gateway.server import make_server
from gateway.settings import Settings
from gateway.wiring import SERVICES, make_gateway
from services.common.rpc.channel import open_channel
from services.common.rpc.server import remove_ready_file, run, stop_on_signals, write_ready_file
from services.common.rpc.sockets import open_socket
from services.common.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger("gateway")


async def serve() -> None:
    """Run until a signal. Raises SettingsError, and OSError when the address cannot be had."""
    settings = Settings.read(os.environ)
    listener = open_socket(settings.listen)
    host, port = listener.getsockname()[:2]
    listen = str(Address(host, port))

    def ready() -> None:
        _log.info("ready", listen=listen)
        write_ready_file(settings.ready_file, listen)

    async with AsyncExitStack() as opened:
        channels = {
            name: await opened.enter_async_context(
                open_channel(str(settings.targets[name]), settings.tls)
            )
            for name in SERVICES
        }
        app = make_gateway(
            channels,
            timeout_seconds=settings.timeout_seconds,
            max_body_bytes=settings.max_body_bytes,
            proxies=TrustedProxies(settings.trusted_proxies),
        )
        server = make_server(
            app,
            on_ready=ready,
            drain_seconds=settings.drain_seconds,
            certificate=settings.http_certificate,
            key=settings.http_key,
        )
        stop = asyncio.create_task(_stop_when(stop_on_signals(), server.stop))
        try:
            await server.serve(sockets=[listener])
        finally:
            stop.cancel()
            remove_ready_file(settings.ready_file)
    _log.info("stopped")


async def _stop_when(told: asyncio.Event, stop: Callable[[], None]) -> None:
    await told.wait()
    stop()


def main() -> int:
    """The exit status: 0 after a clean stop, 78 when settings are wrong."""
    return run("gateway", serve)


if __name__ == "__main__":
    sys.exit(main())
