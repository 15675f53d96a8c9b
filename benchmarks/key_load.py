"""GenerateDataKeys and UnwrapDataKeys over gRPC with mutual TLS, one data key a call, N calls in flight.

The same program, with the same requests, is pointed at kms and at the echo servers of `key_echo`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import uvloop
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from benchmarks.children import answer, read_order
from benchmarks.timing import Window
from services.common.rpc.channel import open_channel
from services.common.settings import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CALL_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0
KEYS: Final = 64
"""Data keys that are unwrapped in turn."""

Calls = dict[str, "Callable[[], Awaitable[bool]]"]


async def calls(stub: kms_pb2_grpc.KmsServiceAsyncStub, tenant_id: str) -> Calls:
    """By name what makes one call, and says whether the answer is what it must be."""
    generate = kms_pb2.GenerateDataKeysRequest(tenant_id=tenant_id, count=1)
    stock = kms_pb2.GenerateDataKeysRequest(tenant_id=tenant_id, count=KEYS)
    made = (await stub.GenerateDataKeys(stock, timeout=CALL_SECONDS)).data_keys
    item = kms_pb2.UnwrapDataKeysRequest.Item
    wrapped = itertools.cycle(
        (
            kms_pb2.UnwrapDataKeysRequest(
                tenant_id=tenant_id, items=[item(id=key.id, wrapped=key.wrapped)]
            ),
            key.plaintext,
        )
        for key in list(made)
    )

    async def generated() -> bool:
        reply = await stub.GenerateDataKeys(generate, timeout=CALL_SECONDS)
        return len(reply.data_keys) == 1

    async def unwrapped() -> bool:
        request, plaintext = next(wrapped)
        reply = await stub.UnwrapDataKeys(request, timeout=CALL_SECONDS)
        return bool(reply.results[0].plaintext == plaintext)

    return {"generate": generated, "unwrap": unwrapped}


async def one(call: Callable[[], Awaitable[bool]], window: Window) -> None:
    """One caller: the next call when the one before has its answer. A wrong answer is a failure."""
    now = time.perf_counter()
    while window.more(now):
        began = now
        try:
            right = await call()
        except grpc.aio.AioRpcError as error:
            window.failed(f"{error.code().name}: {error.details()}")
            return
        now = time.perf_counter()
        if not right:
            window.failed("not the data key that was wrapped")
            return
        window.done(began, now)


async def load(order: dict[str, Any]) -> dict[str, Any]:
    """Do what was ordered and report."""
    tls = TlsFiles(Path(order["cert_file"]), Path(order["key_file"]), Path(order["ca_file"]))
    async with open_channel(order["target"], tls) as channel:
        await asyncio.wait_for(channel.channel_ready(), CONNECT_SECONDS)
        call = (await calls(kms_pb2_grpc.KmsServiceStub(channel), order["tenant_id"]))[order["rpc"]]
        window = Window(seconds=order["seconds"], warm_up=order["warm_up"])
        await asyncio.gather(*(one(call, window) for _ in range(order["clients"])))
    return window.answer()


if __name__ == "__main__":
    answer(uvloop.run(load(read_order())))
