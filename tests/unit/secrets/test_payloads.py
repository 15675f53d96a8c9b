"""Certificates of one tenant, however dear to read, keep no other tenant from having its own read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from services.common.errors import UnavailableError
from services.secrets.certificates import read_certificate
from services.secrets.model import SentPayload
from services.secrets.payloads import MAX_WAITING, Payloads
from services.secrets.values import Faults
from tests.fakes.certificates import issue
from tests.fakes.secrets_ports import settle

if TYPE_CHECKING:
    from uuid import UUID

    from services.secrets.certificates import CertificateMaterial
    from services.secrets.model import Payload

PEM = issue().pem
DEAR = "dear"


class Readers:
    """Takes for ever over dear material, until `gate` opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.under_way = 0

    async def read(
        self,
        content: str,
        private_key: str | None,
        passphrase: str | None,
        certificate_type: str,
        now: datetime,
    ) -> CertificateMaterial:
        self.under_way += 1
        if passphrase == DEAR:
            await self.gate.wait()
        self.under_way -= 1
        return read_certificate(content, None, None, "pem", datetime.now(UTC))


class Stand:
    def __init__(self, readers: int = 2) -> None:
        self.readers = Readers()
        self.payloads = Payloads(self.readers, readers)

    def read(self, tenant_id: UUID, passphrase: str | None = None) -> asyncio.Task[Payload | None]:
        sent = SentPayload(certificate_content=PEM, passphrase=passphrase)
        return asyncio.create_task(
            self.payloads.check(tenant_id, "certificate", sent, Faults())
        )  # fmt: skip


async def test_a_tenants_dear_uploads_leave_a_reader_to_the_others() -> None:
    stand, hog = Stand(), uuid4()
    dear = [stand.read(hog, DEAR) for _ in range(MAX_WAITING + 1)]
    await settle()
    with pytest.raises(UnavailableError):
        await stand.read(hog)
    async with asyncio.timeout(1):
        for _ in range(20):
            assert await stand.read(uuid4()) is not None
    stand.readers.gate.set()
    assert all(payload is not None for payload in await asyncio.gather(*dear))


async def test_a_caller_that_goes_away_while_it_waits_is_never_read() -> None:
    stand, hog = Stand(), uuid4()
    first, *others = [stand.read(hog, DEAR) for _ in range(10)]
    await settle()
    for task in others:
        task.cancel()
    stand.readers.gate.set()
    assert await first is not None
    await settle()
    assert stand.readers.under_way == 0


async def test_going_away_frees_no_reader_that_is_still_at_work() -> None:
    stand, hog = Stand(), uuid4()
    for _ in range(5):
        task = stand.read(hog, DEAR)
        await settle()
        task.cancel()
        await settle()
    assert stand.readers.under_way == 1
    stand.readers.gate.set()
    await settle()
    assert stand.readers.under_way == 0
    assert await stand.read(hog) is not None
