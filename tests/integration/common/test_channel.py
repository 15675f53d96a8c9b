"""What breaks between processes of ours when the network or the machine is slow."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from tests.fixtures.pki import TestPki

SLOW_SECONDS = 1.0
"""For a TLS handshake: a busy machine, or a path with a round trip of 0.3 s."""


async def test_a_handshake_that_takes_its_time_is_not_taken_for_a_process_that_is_gone(
    pki: TestPki,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        port = slow.getsockname()[1]
        async with open_channel(f"127.0.0.1:{port}", pki.tls("secrets")) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await check(health_pb2.HealthCheckRequest(), timeout=SLOW_SECONDS)
    # It was the caller who gave up.
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
