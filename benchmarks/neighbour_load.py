"""A small, fixed load on many tenants whose keys may be out of reach: creates and accesses in turn.

So many requests are begun each second, whatever becomes of those before; a refusal is an answer like any
other. Told: how many of each came.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import httpx
import uvloop
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from benchmarks.children import answer, read_order
from services.common.rpc.channel import open_channel
from services.common.settings import TlsFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

REQUEST_SECONDS: Final = 30.0
OK: Final = "ok"


async def pace(rate: float, seconds: float) -> AsyncIterator[None]:
    """A moment for each request to begin, at `rate` per second."""
    began = time.perf_counter()
    for number in itertools.count():
        at = number / rate
        if at >= seconds:
            return
        await asyncio.sleep(max(0.0, began + at - time.perf_counter()))
        yield


class Tenants:
    """Everybody's requests, and how they ended."""

    def __init__(self, http: httpx.AsyncClient, channel: grpc.aio.Channel) -> None:
        self._http = http
        self._stub = secrets_pb2_grpc.SecretsServiceStub(channel)
        self.outcomes: Counter[str] = Counter()

    async def create(self, tenant: dict[str, str]) -> None:
        """POST /v1/secrets."""
        reply = await self._http.post(
            "/v1/secrets",
            headers={"authorization": f"Bearer {tenant['api_key']}"},
            json={"name": f"load-{uuid.uuid4().hex}", "value": "x"},
        )
        self.outcomes[OK if reply.is_success else f"create {reply.status_code}"] += 1

    async def access(self, tenant: dict[str, str]) -> None:
        """AccessSecret of the one that every tenant has."""
        request = secrets_pb2.AccessSecretRequest(tenant_id=tenant["id"], name="stored")
        try:
            await self._stub.AccessSecret(request, timeout=REQUEST_SECONDS)
        except grpc.aio.AioRpcError as error:
            self.outcomes[f"access {error.code().name}"] += 1
        else:
            self.outcomes[OK] += 1


async def load(order: dict[str, Any]) -> dict[str, Any]:
    """Do what was ordered and report."""
    tls = TlsFiles(Path(order["cert_file"]), Path(order["key_file"]), Path(order["ca_file"]))
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(
            base_url=order["base_url"], timeout=REQUEST_SECONDS, limits=limits, trust_env=False
        ) as http,
        open_channel(order["target"], tls) as channel,
    ):
        tenants = Tenants(http, channel)
        kinds: list[Callable[[dict[str, str]], Coroutine[Any, Any, None]]] = [
            tenants.create,
            tenants.access,
        ]
        turns = itertools.cycle(itertools.product(kinds, order["tenants"]))
        async with asyncio.TaskGroup() as group:
            async for _ in pace(order["rate"], order["seconds"]):
                kind, tenant = next(turns)
                group.create_task(kind(tenant))
        return {"outcomes": dict(tenants.outcomes)}


if __name__ == "__main__":
    answer(uvloop.run(load(read_order())))
