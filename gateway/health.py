"""Liveness and readiness.

`/healthz` says that this process serves; `/readyz` asks every service through the channel that requests
take (grpc.health.v1), so it also proves TLS and the service's own readiness.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.errors import JSON_TYPE
from gateway.http import Response
from gateway.json_output import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECK_SECONDS: Final = 2.0
_UNREACHABLE: Final = "UNREACHABLE"
_SERVING: Final = "SERVING"
_READY: Final = 200
_NOT_READY: Final = 503


class AlivePage:
    """`/healthz`: always 200 while the process answers."""

    path = "/healthz"

    async def answer(self) -> Response:
        """A fixed body: `{"status": "ok"}`."""
        return Response(_READY, (JSON_TYPE,), encode({"status": "ok"}).encode("ascii"))


class ReadyPage:
    """`/readyz`: 200 when every service says SERVING, else 503; the state of each in either case.

    `services` maps a short name to the full name of the proto service and the channel to it.
    """

    path = "/readyz"

    def __init__(self, services: Mapping[str, tuple[str, grpc.aio.Channel]]) -> None:
        self._stubs = {
            name: (full_name, health_pb2_grpc.HealthStub(channel))
            for name, (full_name, channel) in services.items()
        }

    async def answer(self) -> Response:
        """Ask all of them at the same time."""
        states = await asyncio.gather(*(self._state(name) for name in self._stubs))
        ready = all(state == _SERVING for state in states)
        body = {
            "status": "ready" if ready else "not_ready",
            "services": dict(zip(self._stubs, states, strict=True)),
        }
        headers = (JSON_TYPE,) if ready else (JSON_TYPE, (b"retry-after", b"1"))
        status = _READY if ready else _NOT_READY
        return Response(status, headers, encode(body).encode("ascii"))

    async def _state(self, name: str) -> str:
        full_name, stub = self._stubs[name]
        question = health_pb2.HealthCheckRequest(service=full_name)
        try:
            answer = await stub.Check(question, timeout=CHECK_SECONDS)
        except grpc.aio.AioRpcError as error:
            unknown = error.code() is grpc.StatusCode.NOT_FOUND
            return "SERVICE_UNKNOWN" if unknown else _UNREACHABLE
        state: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        return state
