"""A certificate whose caller did not get its turn in time costs nobody's time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from coffer.secrets.v1 import secrets_pb2

from services.secrets.payloads import Payloads
from tests.fakes import certificates
from tests.fakes.secrets_certificates import InlineCertificates

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand


async def test_what_waited_longer_than_its_caller_is_not_read(
    stand: Stand, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = asyncio.Queue[str](), asyncio.Queue[None]()
    gate = asyncio.Event()
    read, check = InlineCertificates.read, Payloads.check

    async def slow_read(self: InlineCertificates, content: str, *others: Any) -> Any:
        begun.put_nowait(content)
        await gate.wait()
        return await read(self, content, *others)

    async def seen_check(self: Payloads, *arguments: Any) -> Any:
        try:
            return await check(self, *arguments)
        finally:
            ended.put_nowait(None)

    monkeypatch.setattr(InlineCertificates, "read", slow_read)
    monkeypatch.setattr(Payloads, "check", seen_check)
    first, late, last = (certificates.issue().pem for _ in range(3))
    async with asyncio.timeout(60):
        calls = [asyncio.create_task(_store(stand, client, "FIRST", first, timeout=30))]
        assert await begun.get() == first
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _store(stand, client, "LATE", late, timeout=0.2)
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await ended.get()
        calls.append(asyncio.create_task(_store(stand, client, "LAST", last, timeout=30)))
        gate.set()
        await asyncio.gather(*calls)
    assert begun.get_nowait() == last
    assert begun.empty()
    listed = await client.list()
    assert {row.name for row in listed.secrets} == {"FIRST", "LAST"}


async def _store(stand: Stand, client: Client, name: str, content: str, *, timeout: float) -> Any:  # noqa: ASYNC109 - gRPC's own
    request = secrets_pb2.CreateCertificateRequest(name=name, certificate_content=content)
    metadata = [("authorization", f"Bearer {client.api_key}")]
    return await stand.stub().CreateCertificate(request, metadata=metadata, timeout=timeout)
