"""The connection to the service: made at first use, made anew when the identity's files change."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import grpc
from coffer.secrets.v1 import secrets_pb2_grpc

from coffer_client.errors import ClientClosedError, ClientTlsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from coffer_client.tls import ClientTls, Identity, Stamp

Channel = TypeVar("Channel")

_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""As the service's own; gRPC's default of 4 MiB is less than a batch may hold."""

_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 32 * 1024),
    # A peer that is gone is found out within 25 s, also between calls.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 3_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
)


def credentials(identity: Identity) -> grpc.ChannelCredentials:
    """Mutual TLS as this identity."""
    return grpc.ssl_channel_credentials(
        root_certificates=identity.ca,
        private_key=identity.key,
        certificate_chain=identity.certificate,
    )


def options(server_name: str | None) -> tuple[tuple[str, Any], ...]:
    """Of a channel. `server_name` is that of the service's certificate, if it is not the target's."""
    if server_name is None:
        return _OPTIONS
    return (*_OPTIONS, ("grpc.ssl_target_name_override", server_name))


@dataclass(slots=True)
class Line(Generic[Channel]):
    """A channel and how many calls are on it."""

    channel: Channel
    stub: Any
    stamp: Stamp
    calls: int = 0
    retired: bool = False


class Lines(Generic[Channel]):
    """The current line, and earlier ones until their last call ends. Construction does no I/O.

    Thread-safe. `take`, `give_back` and `close` hand out channels that nobody uses any more, for the caller
    to close.
    """

    def __init__(self, tls: ClientTls, open_channel: Callable[[Identity], Channel]) -> None:
        self._tls = tls
        self._open = open_channel
        self._current: Line[Channel] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> tuple[Line[Channel], list[Channel]]:
        """A line for one call. Raises ClientClosedError, and ClientTlsError when there is none to be had.

        While replaced files are not whole yet, the line of before goes on.
        """
        with self._lock:
            if self._closed:
                raise ClientClosedError
            unused = self._renew()
            assert self._current is not None
            self._current.calls += 1
            return self._current, unused

    def give_back(self, line: Line[Channel]) -> list[Channel]:
        """The call has ended."""
        with self._lock:
            line.calls -= 1
            return [line.channel] if line.retired and not line.calls else []

    def close(self) -> list[Channel]:
        """No further call; those under way end as they do."""
        with self._lock:
            self._closed = True
            return self._retire()

    def _renew(self) -> list[Channel]:
        try:
            if self._current is not None and self._tls.stamp() == self._current.stamp:
                return []
            identity = self._tls.read()
        except ClientTlsError:
            if self._current is None:
                raise
            return []
        channel = self._open(identity)
        unused = self._retire()
        stub: Any = secrets_pb2_grpc.SecretsServiceStub(cast("Any", channel))
        self._current = Line(channel, stub, identity.stamp)
        return unused

    def _retire(self) -> list[Channel]:
        line, self._current = self._current, None
        if line is None:
            return []
        line.retired = True
        return [] if line.calls else [line.channel]
