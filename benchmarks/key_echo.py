"""The limits of kms: its rpcs answered by constants of the same size, by a process set up as kms is.

`bare` is grpc.aio on uvloop with kms's channel options, mutual TLS and message types, and nothing else.
`framed` adds what every rpc of ours passes through: policy, request id, log line, metrics.
"""

# ruff: noqa: ARG002 - the signatures are those of the port
from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import uvloop
from coffer.kms.v1 import kms_pb2

from benchmarks.children import answer, read_order
from benchmarks.echo import credentials
from services.common.rpc.interceptors import CallInterceptor
from services.common.rpc.policy import Enforcer, policies
from services.common.rpc.server import OPTIONS
from services.common.telemetry import Metrics, configure_logging

if TYPE_CHECKING:
    from services.common.identity import AdminIdentity, ApiKeyIdentity, StepUp


class Echo:
    """Answers every data key with the same one; keeps nothing."""

    async def generate(
        self, request: kms_pb2.GenerateDataKeysRequest, _context: object
    ) -> kms_pb2.GenerateDataKeysResponse:
        """As many constants as asked for."""
        reply = kms_pb2.GenerateDataKeysResponse
        key = reply.DataKey(id=b"i" * 16, plaintext=b"p" * 32, wrapped=b"w" * 68)
        keys = [key] * request.count
        return reply(data_keys=keys, key_version=1, usable_for_ms=240_000)

    async def unwrap(
        self, request: kms_pb2.UnwrapDataKeysRequest, _context: object
    ) -> kms_pb2.UnwrapDataKeysResponse:
        """A constant for each."""
        reply = kms_pb2.UnwrapDataKeysResponse
        results = [reply.Result(plaintext=b"p" * 32) for _ in request.items]
        return reply(results=results, usable_for_ms=240_000)


class Nobody:
    """Knows no credential: services are known by their certificates."""

    async def api_key(self, token: str) -> ApiKeyIdentity | None:
        """Nobody."""
        return None

    async def admin(self, token: str) -> AdminIdentity | None:
        """Nobody."""
        return None

    async def step_up(self, token: str | None, admin: AdminIdentity, window_seconds: int) -> StepUp:
        """Never asked for."""
        raise LookupError


def handlers(echo: Echo) -> grpc.GenericRpcHandler:
    """The two rpcs."""
    rpcs: dict[str, tuple[Any, Any]] = {
        "GenerateDataKeys": (echo.generate, kms_pb2.GenerateDataKeysRequest),
        "UnwrapDataKeys": (echo.unwrap, kms_pb2.UnwrapDataKeysRequest),
    }
    return grpc.method_handlers_generic_handler(
        kms_pb2.DESCRIPTOR.services_by_name["KmsService"].full_name,
        {
            name: grpc.unary_unary_rpc_method_handler(
                answer_it,
                request_deserializer=request.FromString,
                response_serializer=lambda reply: reply.SerializeToString(),
            )
            for name, (answer_it, request) in rpcs.items()
        },
    )


def frame() -> list[Any]:
    """The one interceptor of our servers; the log goes where a log costs least."""
    configure_logging("echo")
    known = policies([kms_pb2.DESCRIPTOR.services_by_name["KmsService"]])
    return [CallInterceptor("coffer.kms", Enforcer(known, Nobody()), Metrics("echo"))]


async def serve(order: dict[str, Any]) -> None:
    """Until standard input is closed."""
    interceptors = frame() if order["framed"] else []
    server = grpc.aio.server(
        handlers=[handlers(Echo())], interceptors=interceptors, options=OPTIONS
    )
    port = server.add_secure_port("127.0.0.1:0", credentials(order))
    await server.start()
    answer({"address": f"127.0.0.1:{port}"})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    orders = read_order()
    # Log lines are written as kms writes its own: to a file.
    os.dup2(os.open(Path(orders["log_file"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    uvloop.run(serve(orders))
