"""The gRPC channels to Cloud KMS: few, shared by all tenants, none of them full.

HTTP/2 servers limit the calls under way on one connection, to 100 usually; what is over that waits inside
gRPC behind whatever hangs there. So a channel gets no more than STREAMS calls, and the least busy one gets
the next. Credentials go with each call and belong to none of the channels.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
from google.cloud.kms_v1 import KeyManagementServiceAsyncClient
from google.cloud.kms_v1.services.key_management_service.transports import (
    KeyManagementServiceGrpcAsyncIOTransport,
)

from services.common.settings import authorities
from services.kms.providers.gcp.faults import quiet
from services.kms.providers.gcp.http import CONNECT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KMS_HOST: Final = "cloudkms.googleapis.com:443"
CHANNELS: Final = 8
STREAMS: Final = 80
"""Calls under way on one channel."""
_MESSAGE_BYTES: Final = 256 * 1024
"""Google's ciphertexts are below 70 KiB."""
_OPTIONS: Final = (
    # Else channels to one host would share one connection, and its limit.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    # The bound of an attempt to connect, and how soon the next one follows: else 20 s and up to 2 minutes.
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A connection that a firewall forgot is noticed: closed when idle for a minute, else by pings and by TCP.
    ("grpc.client_idle_timeout_ms", 60_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


@dataclass(slots=True)
class _Line:
    channel: grpc.aio.Channel
    client: KeyManagementServiceAsyncClient
    calls: int = 0


class Channels:
    """Belongs to one event loop. Construction does no I/O."""

    def __init__(self, endpoint: str | None, ca_file: Path | None) -> None:
        """`endpoint` is host:port instead of Google's own, with TLS; only then `ca_file` counts."""
        self._target = endpoint or KMS_HOST
        self._ca_file = ca_file if endpoint else None
        self._lines: list[_Line] = []

    @contextlib.contextmanager
    def client(self) -> Iterator[KeyManagementServiceAsyncClient]:
        """A client for one call. The caller sees to it that there are at most CHANNELS * STREAMS calls."""
        line = min(self._lines, key=lambda one: one.calls, default=None)
        if line is None or (line.calls >= STREAMS and len(self._lines) < CHANNELS):
            line = self._open()
            self._lines.append(line)
        line.calls += 1
        try:
            yield line.client
        finally:
            line.calls -= 1

    def _open(self) -> _Line:
        quiet()
        roots = authorities(self._ca_file) if self._ca_file else None
        channel = grpc.aio.secure_channel(
            self._target, grpc.ssl_channel_credentials(roots), options=_OPTIONS
        )
        transport = KeyManagementServiceGrpcAsyncIOTransport(channel=channel)
        return _Line(channel, KeyManagementServiceAsyncClient(transport=transport))

    async def close(self) -> None:
        """Cut every connection."""
        lines, self._lines = self._lines, []
        for line in lines:
            await line.channel.close()
