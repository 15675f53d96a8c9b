"""Channels to other services: mutual TLS, bounded messages, quick reconnection; what a call hands on."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from services.common.errors import DeadlineError
from services.common.identity import current_call
from services.common.rpc.interceptors import CLIENT_IP, REQUEST_ID
from services.common.settings import authorities

if TYPE_CHECKING:
    from services.common.settings import TlsFiles

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Both directions and both ends. gRPC's own default is 4 MiB on receipt, unlimited on sending."""

MAX_METADATA_BYTES: Final = 32 * 1024
"""Tokens, a refusal, a status. Above gRPC's default of 8 KiB calls are refused at random up to 16 KiB."""

CONNECT_SECONDS: Final = 3.0
"""For TCP and TLS together. gRPC calls the bound on one attempt `min_reconnect_backoff_ms`; an address that
refuses is tried again after the other two all the same."""

OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
    # gRPC itself sends a call again only where the server's code never saw it (gRFC A6, "Transparent
    # Retries"): harmless, and it saves calls when a server drains. A retry policy could come by DNS alone.
    ("grpc.service_config_disable_resolution", 1),
    # Calls take turns among all addresses of the target's name, that is: among a service's copies.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
)


def open_channel(target: str, tls: TlsFiles) -> grpc.aio.Channel:
    """A channel to `target` (host:port) as this process. Belongs to the running event loop.

    Where the host has several addresses, all of them are used in turn. They are looked up again when a
    connection ends, which a server sees to every few minutes.

    Reads the files; connects when first used. Raises OSError when a file cannot be read.
    """
    return grpc.aio.secure_channel(target, credentials_of(tls), options=OPTIONS)


def credentials_of(tls: TlsFiles) -> grpc.ChannelCredentials:
    """What a channel proves itself with, and whom it trusts. Raises OSError, NoAuthorityError."""
    return grpc.ssl_channel_credentials(
        root_certificates=authorities(tls.ca),
        private_key=tls.key.read_bytes(),
        certificate_chain=tls.certificate.read_bytes(),
    )


def onward(limit_seconds: float) -> dict[str, Any]:
    """Keyword arguments of an onward call: request id and client address, and a deadline.

    The deadline is the smaller of `limit_seconds` and what the served call has left. Outside a call there is
    only the limit. Raises DeadlineError when nothing is left.
    """
    try:
        call = current_call()
    except LookupError:
        return {"timeout": limit_seconds}
    timeout = limit_seconds
    if call.deadline is not None:
        timeout = min(timeout, call.deadline - time.monotonic())
    if timeout <= 0:
        raise DeadlineError
    metadata = [(REQUEST_ID, call.request_id)]
    if call.ip_address:
        metadata.append((CLIENT_IP, call.ip_address))
    return {"timeout": timeout, "metadata": metadata}
