"""A gRPC server of ours: mutual TLS, policy, health, reflection, a side door for metrics, clean stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.common.defects import describe
from services.common.rpc.channel import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from services.common.rpc.interceptors import CallInterceptor
from services.common.rpc.policy import Enforcer, policies
from services.common.rpc.repeats import Repeats
from services.common.rpc.sidedoor import SideDoor
from services.common.settings import Reader, SettingsError, authorities
from services.common.telemetry import Metrics, configure_logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from google.protobuf.descriptor import ServiceDescriptor

    from services.common.rpc.policy import Authentication, Metering
    from services.common.rpc.repeats import Claims
    from services.common.settings import Address, TlsFiles

DRAIN_SECONDS: Final = 10.0
READY_POLL_SECONDS: Final = 1.0
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
SETTINGS_EXIT: Final = 78  # EX_CONFIG of sysexits.h

OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 1),
    # Calls under way end in peace; the client looks its name up again and finds copies that came since.
    ("grpc.max_connection_age_ms", 300_000),
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What every gRPC service is told: where it listens and who it is."""

    listen: Address
    metrics_listen: Address
    ready_file: Path | None
    tls: TlsFiles
    log_level: str

    @classmethod
    def read(cls, reader: Reader, prefix: str) -> ServerSettings:
        """From `<prefix>_LISTEN`, `_METRICS_LISTEN`, `_READY_FILE`, `_TLS_*`, COFFER_LOG_LEVEL."""
        ready = reader.optional(f"{prefix}_READY_FILE")
        return cls(
            listen=reader.address(f"{prefix}_LISTEN"),
            metrics_listen=reader.address(f"{prefix}_METRICS_LISTEN", "127.0.0.1:0"),
            ready_file=Path(ready) if ready else None,
            tls=reader.tls(prefix),
            log_level=log_level(reader),
        )


@dataclass(frozen=True, slots=True)
class Served:
    """One service of a process: its descriptor, and what adds its servicer to a server."""

    descriptor: ServiceDescriptor
    add: Callable[[grpc.aio.Server], None]


class RpcServer:
    """Serves until it is told to stop. `ready` says whether the process can do its work now."""

    def __init__(
        self,
        name: str,
        settings: ServerSettings,
        served: Served,
        *,
        authentication: Authentication,
        ready: Callable[[], Awaitable[bool]],
        metrics: Metrics | None = None,
        metering: Metering | None = None,
        claims: Claims | None = None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._served = served
        self._authentication = authentication
        self._metering = metering
        self._claims = claims
        self._ready = ready
        self._metrics = metrics or Metrics(name)
        self._health = health.aio.HealthServicer()
        self._is_ready = False
        self.port = 0

    async def serve(self, stop: asyncio.Event) -> None:
        """Listen, report readiness, and drain for up to DRAIN_SECONDS once `stop` is set.

        Raises RuntimeError when the port cannot be bound.
        """
        server = self._build()
        self.port = self._bind(server)
        door = SideDoor(self._settings.metrics_listen, self._metrics, lambda: self._is_ready)
        await server.start()
        await door.start()
        watch = asyncio.create_task(self._watch_readiness())
        try:
            await stop.wait()
        finally:
            _log.info("stopping")
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            remove_ready_file(self._settings.ready_file)
            await self._health.enter_graceful_shutdown()
            await server.stop(DRAIN_SECONDS)
            await door.stop()

    def _build(self) -> grpc.aio.Server:
        descriptor = self._served.descriptor
        enforcer = Enforcer(policies([descriptor]), self._authentication, self._metering)
        domain = f"coffer.{self._name}"
        repeats = Repeats(self._claims, descriptor, domain) if self._claims else None
        interceptor = CallInterceptor(domain, enforcer, self._metrics, repeats)
        server = grpc.aio.server(interceptors=[interceptor], options=OPTIONS)
        self._served.add(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (descriptor.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        return server

    def _bind(self, server: grpc.aio.Server) -> int:
        tls = self._settings.tls
        credentials = grpc.ssl_server_credentials(
            [(tls.key.read_bytes(), tls.certificate.read_bytes())],
            root_certificates=authorities(tls.ca),
            require_client_auth=True,
        )
        return server.add_secure_port(str(self._settings.listen), credentials)

    async def _watch_readiness(self) -> None:
        announced = False
        while True:
            try:
                self._is_ready = await self._ready()
            except Exception as error:  # noqa: BLE001 - not ready, whatever the reason
                _log.warning("readiness_failed", kind=type(error).__name__)
                self._is_ready = False
            await self._report(serving=self._is_ready)
            if self._is_ready and not announced:
                announced = True
                listen = f"{self._settings.listen.host}:{self.port}"
                _log.info("ready", listen=listen)
                write_ready_file(self._settings.ready_file, listen)
            await asyncio.sleep(READY_POLL_SECONDS if announced else READY_POLL_SECONDS / 20)

    async def _report(self, *, serving: bool) -> None:
        known = health_pb2.HealthCheckResponse
        state = known.SERVING if serving else known.NOT_SERVING
        for name in ("", self._served.descriptor.full_name):
            await self._health.set(name, state)
        self._metrics.ready.labels(self._name).set(int(serving))


def log_level(reader: Reader) -> str:
    """COFFER_LOG_LEVEL: which lines are told."""
    return reader.choice("COFFER_LOG_LEVEL", LOG_LEVELS, "info")


def write_ready_file(path: Path | None, listen: str) -> None:
    """Say, atomically, that this process is ready at `listen`."""
    if path is None:
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump({"pid": os.getpid(), "listen": listen}, file)
    Path(file.name).replace(path)


def remove_ready_file(path: Path | None) -> None:
    """Take the word back."""
    if path is not None:
        path.unlink(missing_ok=True)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, in the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _guarded(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.get_running_loop().set_exception_handler(_forgotten_defect)
    await main()


def _forgotten_defect(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody awaited. asyncio's own line would quote the exception, and that what it was given."""
    error = context.get("exception")
    told = describe(error) if isinstance(error, BaseException) else {}
    _log.error("forgotten_defect", **told)


def run(name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a process's `main` on uvloop; returns its exit code. Faults of settings are told and end it."""
    reader = Reader(os.environ)
    configure_logging(name, log_level(reader))
    try:
        reader.finish()
        uvloop.run(_guarded(main))
    except SettingsError as error:
        _log.error("settings", faults=str(error).splitlines())
        return SETTINGS_EXIT
    return 0
