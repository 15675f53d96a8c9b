"""Certificates, strings and reads at fixed rates beside each other, over REST, each timed on its own.

A request begins when its time has come, whatever became of those before; its latency counts from that time,
so that a queue at the server is seen and not waited out.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import httpx
import uvloop

from benchmarks.children import answer, read_order
from benchmarks.timing import Window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REQUEST_SECONDS: Final = 30.0


class Requests:
    """One tenant's requests; `order` has value, secret_id and certificates (bodies without a name)."""

    def __init__(self, http: httpx.AsyncClient, order: dict[str, Any]) -> None:
        self._http = http
        self._value = order["value"]
        self._read = f"/v1/secrets/{order['secret_id']}"
        self._bodies = itertools.cycle(order["certificates"])

    async def create(self) -> httpx.Response:
        """POST /v1/secrets."""
        body = {"name": _name(), "value": self._value}
        return await self._http.post("/v1/secrets", json=body)

    async def read(self) -> httpx.Response:
        """GET /v1/secrets/{id}."""
        return await self._http.get(self._read)

    async def certificate(self) -> httpx.Response:
        """POST /v1/secrets/certificate, the bodies in turn."""
        body = {"name": _name(), **next(self._bodies)}
        return await self._http.post("/v1/secrets/certificate", json=body)


async def load(order: dict[str, Any]) -> dict[str, Any]:
    """Do what was ordered and report by kind."""
    async with httpx.AsyncClient(
        base_url=order["base_url"],
        headers={"authorization": f"Bearer {order['api_key']}"},
        timeout=REQUEST_SECONDS,
        limits=httpx.Limits(max_connections=None),
        trust_env=False,
    ) as http:
        requests = Requests(http, order)
        windows = {
            kind: Window(seconds=order["seconds"], warm_up=order["warm_up"])
            for kind in order["rates"]
        }
        async with asyncio.TaskGroup() as group:
            for kind, rate in order["rates"].items():
                group.create_task(_paced(getattr(requests, kind), rate, windows[kind]))
        return {kind: window.answer() for kind, window in windows.items()}


async def _paced(
    send: Callable[[], Awaitable[httpx.Response]], rate: float, window: Window
) -> None:
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in itertools.count():
            at = began + number / rate
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            if not window.more(time.perf_counter()):
                return
            group.create_task(_one(send, at, window))


async def _one(send: Callable[[], Awaitable[httpx.Response]], at: float, window: Window) -> None:
    try:
        reply = await send()
    except httpx.HTTPError as error:
        window.failed(type(error).__name__)
        return
    if reply.is_success:
        window.done(at, time.perf_counter())
    else:
        window.failed(f"{reply.status_code} {reply.text}")


def _name() -> str:
    return f"mixed-{uuid.uuid4().hex}"


if __name__ == "__main__":
    answer(uvloop.run(load(read_order())))
