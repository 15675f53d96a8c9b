"""Old values: restored under another data key, past no guard, and only where they would be taken now."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from services.common.errors import (
    KeyRevokedError,
    NotFoundError,
    TenantSealedError,
    ValidationError,
    VersionMismatchError,
)
from services.common.sensitive import SecretBytes
from services.secrets import sealing
from services.secrets.certificates import CertificateRefused
from services.secrets.data_keys import DataKeyPool
from services.secrets.history import History
from services.secrets.model import KeyFault, KeySealed, PutRequest, SentPayload
from services.secrets.payloads import Payloads
from services.secrets.versions import HistoryRequest, RestoreRequest
from services.secrets.writing import Writer, write_places
from tests.fakes import certificates
from tests.fakes.secrets_certificates import InlineCertificates
from tests.fakes.secrets_history import KeyRing, MemoryValues
from tests.fakes.secrets_ports import Watching
from tests.fakes.secrets_values import a_call

if TYPE_CHECKING:
    from datetime import datetime

    from services.common.identity import Call
    from services.secrets.certificates import CertificateMaterial
    from services.secrets.model import FieldName, SecretType


class Choosy(InlineCertificates):
    """Refuses everything from a certain moment on."""

    refuses = False

    async def read(
        self,
        content: str,
        private_key: str | None,
        passphrase: str | None,
        certificate_type: str,
        now: datetime,
    ) -> CertificateMaterial:
        if self.refuses:
            raise CertificateRefused("certificate_content", "unsupported_algorithm", "No more.")
        return await super().read(content, private_key, passphrase, certificate_type, now)


class Case:
    """One secret, its writer and its history."""

    def __init__(self, secret_type: SecretType = "string") -> None:
        self.store, self.kms, self.reader = MemoryValues(secret_type), KeyRing(), Choosy()
        pool = DataKeyPool(self.kms, Watching(), max_stock=0)
        payloads, places = Payloads(self.reader, 2, Watching()), write_places()
        self.writer = Writer(self.store, pool, payloads, places)
        self.history = History(
            store=self.store,
            kms=self.kms,
            payloads=payloads,
            writer=self.writer,
            places=places,
            observer=Watching(),
        )
        self.call: Call = a_call(uuid4())
        self.id = str(self.store.id)

    async def put(self, value: str, environment: str | None = None, **more: int) -> int:
        sent = SentPayload(value=value)
        if self.store.secret_type == "certificate":
            sent = SentPayload(certificate_content=value)
        asked = PutRequest(self.id, sent, environment, **more)
        return (await self.writer.put(self.call, asked)).value_version

    async def restore(self, version: int, environment: str | None = None, **more: int) -> int:
        asked = RestoreRequest(self.id, version, environment, **more)
        return (await self.history.restore(self.call, asked)).value_version

    def opened(self, version: int, environment: str = "production") -> dict[FieldName, bytes]:
        found = self.store.kept[environment, version]
        key = SecretBytes(self.kms.plain[found.value.key.wrapped])
        return sealing.open_(self.call.tenant, found, key)


async def test_a_restored_value_is_sealed_anew_under_another_data_key() -> None:
    case = Case()
    for value in ("one", "two"):
        await case.put(value)
    assert await case.restore(1) == 3
    assert await case.restore(3) == 4
    assert case.opened(3) == case.opened(4) == {"value": b"one"}
    keys = {case.store.kept["production", version].value.key.id for version in (1, 3, 4)}
    assert len(keys) == 3
    assert [value.restores for value in case.store.written] == [None, None, 1, 3]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (KeyFault.REVOKED, KeyRevokedError),
        (KeyFault.SEALED, TenantSealedError),
        (KeySealed("key_disabled"), TenantSealedError),
    ],
)
async def test_what_does_not_open_is_not_restored(
    fault: KeyFault | KeySealed, error: type[Exception]
) -> None:
    case = Case()
    for value in ("one", "two"):
        await case.put(value)
    case.kms.faults[case.store.kept["production", 1].value.key.wrapped] = fault
    with pytest.raises(error):
        await case.restore(1)
    assert case.store.counters == {"production": 2}
    asked = HistoryRequest(case.id)
    found, _ = await case.history.list(case.call, asked)
    assert [(row.value_version, row.is_current) for row in found.rows] == [(2, True), (1, False)]


@pytest.mark.parametrize("version", [0, -1, 3, 2**63 - 1])
async def test_a_version_that_never_was_is_not_found(version: int) -> None:
    case = Case()
    for value in ("one", "two"):
        await case.put(value)
    with pytest.raises(NotFoundError):
        await case.restore(version)


async def test_a_removed_value_counts_on_and_its_history_does_not_come_back() -> None:
    case = Case()
    for value in ("one", "two"):
        await case.put(value, "staging")
    await case.history.remove(case.call, case.id, "staging")
    with pytest.raises(NotFoundError):
        await case.restore(1, "staging")
    with pytest.raises(VersionMismatchError):
        await case.put("three", "staging", if_match=2)
    assert await case.put("three", "staging", if_match=0) == 3
    found, _ = await case.history.list(case.call, HistoryRequest(case.id, "staging"))
    assert [row.value_version for row in found.rows] == [3]


@pytest.mark.parametrize("and_put_again", [False, True])
async def test_a_value_removed_between_opening_and_writing_is_not_restored(
    and_put_again: bool,
) -> None:
    case = Case()
    for value in ("one", "two"):
        await case.put(value, "staging")
    opened = case.kms.unwrap

    async def remove_meanwhile(*arguments: object) -> object:
        keys = await opened(*arguments)  # type: ignore[arg-type]
        await case.history.remove(case.call, case.id, "staging")
        if and_put_again:
            await case.put("three", "staging")
        return keys

    case.kms.unwrap = remove_meanwhile  # type: ignore[method-assign,assignment]
    with pytest.raises(NotFoundError):
        await case.restore(1, "staging")
    assert case.store.counters == {"staging": 3 if and_put_again else 2}


async def test_if_match_must_be_the_current_version() -> None:
    case = Case()
    for value in ("one", "two"):
        await case.put(value)
    with pytest.raises(VersionMismatchError):
        await case.restore(1, if_match=1)
    assert not case.kms.unwrapped
    assert await case.restore(1, if_match=2) == 3


async def test_a_certificate_is_read_again() -> None:
    case = Case("certificate")
    await case.put(certificates.issue("first.example").pem)
    await case.put(certificates.issue("second.example").pem)
    kept = case.store.kept["production", 1]
    fields = {name: value for name, value in kept.value.fields.items() if name != "normal_form"}
    object.__setattr__(kept.value, "fields", fields)  # as it was before there was a normal form
    assert await case.restore(1) == 3
    facts = case.store.written[-1].certificate
    assert facts is not None
    assert facts.metadata["subject"] == "CN=first.example, O=Example Inc, C=US"
    assert "normal_form" in case.opened(3)


async def test_a_certificate_that_would_not_be_taken_now_is_not_restored() -> None:
    case = Case("certificate")
    for _ in range(2):
        await case.put(certificates.issue().pem)
    case.reader.refuses = True
    with pytest.raises(ValidationError) as caught:
        await case.restore(1)
    assert caught.value.reason == "unsupported_algorithm"
    assert list(caught.value.fields) == ["value_version"]
    assert case.store.counters == {"production": 2}


async def test_every_fault_of_a_question_for_a_history_is_told_at_once() -> None:
    case = Case()
    await case.put("one")
    with pytest.raises(ValidationError) as caught:
        await case.history.list(case.call, HistoryRequest(case.id, "nowhere", page=0, per_page=101))
    assert set(caught.value.fields) == {"environment", "page", "per_page"}


async def test_the_pages_of_a_history_hold_each_version_once() -> None:
    case = Case()
    for value in "abcde":
        await case.put(value)
    seen = []
    for page in (1, 2, 3, 4):
        found, _ = await case.history.list(
            case.call, HistoryRequest(case.id, page=page, per_page=2)
        )
        assert found.total == 5
        seen += [row.value_version for row in found.rows]
    assert seen == [5, 4, 3, 2, 1]
