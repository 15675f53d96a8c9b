"""`python -m services.rewrap`: server, dispatcher and worker, put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from coffer.rewrap.v1 import rewrap_pb2_grpc

from services.common.authentication import Authenticator
from services.common.database import Database
from services.common.idempotency.clearing import Clearing
from services.common.idempotency.guard import Guard
from services.common.notifications import Listener
from services.common.rpc.channel import open_channel
from services.common.rpc.server import RpcServer, Served, run, stop_on_signals
from services.common.telemetry import Metrics
from services.common.tokens import TokenVerifier
from services.rewrap.courtesy import Courtesy
from services.rewrap.dispatcher import Dispatcher
from services.rewrap.kms_client import KmsClient
from services.rewrap.lane import Means
from services.rewrap.metrics import RewrapMetrics
from services.rewrap.queue import ProcrastinateQueue
from services.rewrap.rpc.servicer import DESCRIPTOR, RewrapServicer
from services.rewrap.run import Around, Ended
from services.rewrap.secrets_client import SecretsClient
from services.rewrap.service import Rewraps
from services.rewrap.settings import Settings
from services.rewrap.steering import Steering
from services.rewrap.store import (
    CHANNEL,
    PostgresLeaseReader,
    PostgresLeaseStore,
    PostgresLeaseWatch,
    PostgresSteering,
)
from services.rewrap.turns import Turns
from services.rewrap.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.rewrap.model import LeaseRef

NAME: Final = "rewrap"
_STOP_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.1
"""After a job: it is out of the queue by then."""
_QUIET: Final = ("procrastinate", "psycopg.pool")


class RewrapProcess:
    """One process. Construction does no I/O; belongs to the event loop that runs it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics(NAME)
        observer = RewrapMetrics(self._metrics.registry)
        self._database = Database(settings.database_url, name="rewrap", max_connections=16)
        self._dispatch = Database(
            settings.dispatch_database_url, name="rewrap dispatch", max_connections=2
        )
        self._queue = ProcrastinateQueue(
            settings.queue_database_url,
            heartbeat_seconds=settings.heartbeat_seconds,
            stalled_seconds=settings.stalled_seconds,
        )
        self._dispatcher = Dispatcher(
            PostgresLeaseWatch(self._dispatch),
            self._queue,
            observer,
            lanes=settings.effort.lanes,
            every_seconds=settings.dispatch_seconds,
            recover_seconds=settings.heartbeat_seconds,
        )
        self._listener = Listener(
            settings.dispatch_database_url,
            CHANNEL,
            on_payload=lambda _: self._dispatcher.wake(),
            on_gap=self._dispatcher.wake,
        )
        self._observer = observer

    async def run(self, stop: asyncio.Event) -> None:
        """Serve and work until `stop`, then let go of every lease. Raises RuntimeError: port taken."""
        tls = self._settings.server.tls
        secrets_channel = open_channel(self._settings.secrets_target, tls)
        kms_channel = open_channel(self._settings.kms_target, tls)
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(secrets_channel.close)
            undo.push_async_callback(kms_channel.close)
            for pool in (self._database, self._dispatch, self._queue):
                await pool.open()
                undo.push_async_callback(pool.close)
            self._listener.start()
            undo.push_async_callback(self._listener.stop)
            await self._serve(SecretsClient(secrets_channel), KmsClient(kms_channel), stop)

    async def _serve(self, secrets: SecretsClient, kms: KmsClient, stop: asyncio.Event) -> None:
        dispatching = asyncio.create_task(self._dispatcher.run(), name="dispatcher")
        clearing = asyncio.create_task(Clearing(self._database, NAME).run(), name="clearing")
        working = asyncio.create_task(self._work(secrets, kms, stop), name="worker")
        try:
            await self._server(secrets).serve(stop)
        finally:
            stop.set()
            async with asyncio.timeout(2 * _STOP_SECONDS):
                await working
            for task in (dispatching, clearing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _work(self, secrets: SecretsClient, kms: KmsClient, stop: asyncio.Event) -> None:
        settings = self._settings
        if not settings.worker:
            return
        store = PostgresLeaseStore(self._database, hold_seconds=settings.stalled_seconds)
        courtesy = Courtesy(
            settings.slowdown_limit,
            floor=settings.slowest,
            places=settings.in_flight,
            show=self._observer.courtesy_shown,
        )
        means = Means(
            store, secrets, self._observer, courtesy, Turns(settings.in_flight), time.monotonic
        )
        worker = Worker(Around(means, self._queue, asyncio.sleep), kms, settings.effort)

        def end() -> None:
            worker.stop()
            courtesy.stop()

        stopping = asyncio.create_task(_then(stop, end))
        try:
            await self._queue.work(
                partial(self._sit, worker),
                busy=worker.works_on,
                concurrency=settings.concurrency,
                stop=stop,
            )
        finally:
            end()
            stopping.cancel()

    async def _sit(self, worker: Worker, ref: LeaseRef) -> None:
        """What was resumed while its job was ending was announced too early to get another."""
        if await worker.work(ref) in {Ended.LOST, Ended.REFUSED}:
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_SECONDS, self._dispatcher.wake)

    def _server(self, secrets: SecretsClient) -> RpcServer:
        servicer = RewrapServicer(
            Rewraps(PostgresLeaseReader(self._database)),
            Steering(PostgresSteering(self._database)),
        )
        return RpcServer(
            NAME,
            self._settings.server,
            Served(
                DESCRIPTOR,
                partial(rewrap_pb2_grpc.add_RewrapServiceServicer_to_server, servicer),
            ),
            authentication=Authenticator(self._database, TokenVerifier(self._settings.tokens)),
            ready=partial(self._ready, secrets),
            metrics=self._metrics,
            claims=Guard(
                self._database, NAME, self._settings.idempotency_key, count=self._metrics.copy
            ),
        )

    async def _ready(self, secrets: SecretsClient) -> bool:
        """Whether the database, the queue and secrets answer."""
        checks = (self._database.ping(), self._queue.ping(), secrets.reachable())
        return all(await asyncio.gather(*checks))


async def _then(stop: asyncio.Event, act: Callable[[], None]) -> None:
    await stop.wait()
    act()


async def main() -> None:
    """Read the settings and run until SIGTERM. Raises SettingsError."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    await RewrapProcess(Settings.read(os.environ)).run(stop_on_signals())


if __name__ == "__main__":
    sys.exit(run(NAME, main))
