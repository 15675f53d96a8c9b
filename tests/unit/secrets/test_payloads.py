"""Certificates of one tenant, however dear to read, keep no other tenant from having its own read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from services.common.errors import UnavailableError, ValidationError
from services.secrets.certificates import (
    CertificateReaderFailed,
    CertificateReaderUnavailable,
    normal_form,
    read_certificate,
)
from services.secrets.model import SentPayload
from services.secrets.payloads import WAITING, Payloads
from services.secrets.values import Faults
from tests.fakes.certificates import issue, key_pem
from tests.fakes.secrets_certificates import InlineCertificates
from tests.fakes.secrets_ports import Watching, settle

if TYPE_CHECKING:
    from uuid import UUID

    from services.secrets.certificates import CertificateMaterial
    from services.secrets.model import Payload

PEM = issue().pem
MOST = 700_000
DEAR = "dear"
DEFECT = "defect"
KILLED = "killed"


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
        if passphrase == DEFECT:
            raise CertificateReaderFailed("RecursionError")
        if passphrase == KILLED:
            raise CertificateReaderUnavailable("a worker was killed")
        self.under_way -= 1
        return read_certificate(content, None, None, "pem", datetime.now(UTC))


class Stand:
    def __init__(self, readers: int = 2) -> None:
        self.readers = Readers()
        self.watching = Watching()
        self.payloads = Payloads(self.readers, readers, self.watching)

    def read(
        self,
        tenant_id: UUID,
        passphrase: str | None = None,
        faults: Faults | None = None,
        content: str = PEM,
    ) -> asyncio.Task[Payload | None]:
        sent = SentPayload(certificate_content=content, passphrase=passphrase)
        return asyncio.create_task(
            self.payloads.check(
                tenant_id, "certificate", sent, Faults() if faults is None else faults
            )
        )


@pytest.mark.parametrize(
    ("content", "fit"),
    [(PEM, WAITING.calls), (PEM + " " * MOST, WAITING.total_bytes // (MOST + len(PEM) + 100))],
    ids=["many", "large"],
)
async def test_a_tenants_dear_uploads_leave_a_reader_to_the_others(content: str, fit: int) -> None:
    stand, hog = Stand(), uuid4()
    dear = [stand.read(hog, DEAR, content=content) for _ in range(fit + 1)]
    await settle()
    with pytest.raises(UnavailableError):
        await stand.read(hog, content=content)
    async with asyncio.timeout(1):
        for _ in range(20):
            assert await stand.read(uuid4()) is not None
    for task in dear[1:]:
        task.cancel()
    stand.readers.gate.set()
    assert await dear[0] is not None
    assert await stand.read(hog, content=content) is not None


async def test_a_client_that_stores_many_certificates_at_once_stores_all() -> None:
    stand, tenant_id = Stand(), uuid4()
    stored = await asyncio.gather(*(stand.read(tenant_id) for _ in range(100)))
    assert None not in stored


async def test_an_empty_type_is_no_type_and_none_is_pem() -> None:
    payloads, faults = Payloads(InlineCertificates(), 1, Watching()), Faults()
    for certificate_type in (None, "pem"):
        sent = SentPayload(certificate_content=PEM, certificate_type=certificate_type)
        payload = await payloads.check(uuid4(), "certificate", sent, faults)
        assert payload is not None
        assert payload.certificate is not None
        assert payload.certificate.certificate_type == "pem"
    assert not faults
    sent = SentPayload(certificate_content=PEM, certificate_type="")
    assert await payloads.check(uuid4(), "certificate", sent, faults) is None
    with pytest.raises(ValidationError) as refused:
        faults.raise_any()
    assert set(refused.value.fields) == {"certificate_type"}


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


async def test_a_defect_of_the_reader_is_told_to_us_and_refuses_what_it_failed_on() -> None:
    stand, faults = Stand(), Faults()
    assert await stand.read(uuid4(), DEFECT, faults) is None
    with pytest.raises(ValidationError) as refused:
        faults.raise_any()
    assert set(refused.value.fields) == {"certificate_content"}
    assert refused.value.reason == "malformed"
    assert stand.watching.counts == {"reader failed RecursionError": 1}


async def test_what_is_kept_apart_is_sealed_apart_and_each_byte_as_it_was_sent() -> None:
    passphrase, issued = "öffne dich ", issue()
    encrypted = key_pem(issued.key, passphrase).replace("\n", "\r\n") + " \t\n"
    content = "\ufeffsubject: example\r\n" + issued.pem.replace("\n", "\r\n")
    payloads = Payloads(InlineCertificates(), 1, Watching())
    sent = SentPayload(
        certificate_content=content, private_key=encrypted, passphrase=passphrase
    )  # fmt: skip
    payload = await payloads.check(uuid4(), "certificate", sent, Faults())
    assert payload is not None
    form = normal_form.read(payload.fields["normal_form"])
    assert payload.fields == {
        "content": content.encode(),
        "private_key": encrypted.encode(),
        "passphrase": passphrase.encode(),
        "normal_form": (issued.pem + issued.key_pem).encode(),
    }
    assert (form.certificate, form.chain, form.private_key) == (issued.pem, "", issued.key_pem)
    assert payload.certificate is not None
    assert payload.certificate.expires_at == issued.certificate.not_valid_after_utc


async def test_a_reader_that_is_gone_is_no_fault_of_the_certificate() -> None:
    stand, faults = Stand(), Faults()
    with pytest.raises(UnavailableError) as told:
        await stand.read(uuid4(), KILLED, faults)
    assert told.value.retry_after is not None
    assert not faults
    assert await stand.read(uuid4()) is not None
