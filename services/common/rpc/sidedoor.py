"""The side door of a gRPC process: plain HTTP for `/metrics`, `/healthz` and `/readyz`.

Holds no tenant data; meant for the operator's own network.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.common.rpc.sockets import open_socket

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from services.common.settings import Address
    from services.common.telemetry import Metrics


class SideDoor:
    """Serves in the running event loop, beside the gRPC server."""

    def __init__(self, listen: Address, metrics: Metrics, ready: Callable[[], bool]) -> None:
        self._listen = listen
        self._metrics = metrics
        self._ready = ready
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve. Raises OSError when the address cannot be had."""
        app = Starlette(
            routes=[
                Route("/metrics", self._show_metrics),
                Route("/healthz", self._alive),
                Route("/readyz", self._readiness),
            ]
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        serving = self._server.serve(sockets=[open_socket(self._listen)])
        self._task = asyncio.create_task(serving, name="side door")

    async def stop(self) -> None:
        """Stop serving."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task

    async def _show_metrics(self, _request: Request) -> Response:
        text = generate_latest(self._metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _alive(self, _request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _readiness(self, _request: Request) -> Response:
        ready = self._ready()
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)
