"""AccessSecret over gRPC with mutual TLS, N calls in flight on one channel.

The same program, with the same requests, is pointed at the secrets service and at the bare echo server.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import uvloop
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from benchmarks.children import answer, read_order
from benchmarks.timing import Window
from services.common.rpc.channel import open_channel
from services.common.settings import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

CALL_SECONDS = 30.0
CONNECT_SECONDS = 10.0


def requests(tenant_id: str, prefix: str, count: int) -> Iterator[secrets_pb2.AccessSecretRequest]:
    """Requests for `<prefix>-0`... `<prefix>-<count-1>`, over and over."""
    made = [
        secrets_pb2.AccessSecretRequest(tenant_id=tenant_id, name=f"{prefix}-{number}")
        for number in range(count)
    ]
    return itertools.cycle(made)


async def one(
    stub: secrets_pb2_grpc.SecretsServiceAsyncStub,
    asked: Iterator[secrets_pb2.AccessSecretRequest],
    window: Window,
    value: str,
) -> None:
    """One caller: the next call when the one before has its answer. A wrong value is a failure."""
    now = time.perf_counter()
    while window.more(now):
        began = now
        try:
            reply = await stub.AccessSecret(next(asked), timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            window.failed(f"{error.code().name}: {error.details()}")
            return
        now = time.perf_counter()
        if reply.value != value:
            window.failed("not the value that was stored")
            return
        window.done(began, now)


async def load(order: dict[str, Any]) -> dict[str, Any]:
    """Do what was ordered and report."""
    tls = TlsFiles(Path(order["cert_file"]), Path(order["key_file"]), Path(order["ca_file"]))
    asked = requests(order["tenant_id"], order["prefix"], order["accessed"])
    async with open_channel(order["target"], tls) as channel:
        await asyncio.wait_for(channel.channel_ready(), CONNECT_SECONDS)
        stub = secrets_pb2_grpc.SecretsServiceStub(channel)
        window = Window(seconds=order["seconds"], warm_up=order["warm_up"])
        callers = (one(stub, asked, window, order["value"]) for _ in range(order["clients"]))
        await asyncio.gather(*callers)
    return window.answer()


if __name__ == "__main__":
    answer(uvloop.run(load(read_order())))
