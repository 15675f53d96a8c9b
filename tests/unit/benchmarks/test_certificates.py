"""What would make the figures about certificates compare things that are not the same."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.certificate_files import make_files
from benchmarks.certificate_parse import bare, fields, rates
from benchmarks.certificates import KINDS, RATES, SITUATIONS, STORED, sample_of
from benchmarks.load import VoidMeasurementError
from services.secrets.certificates import SUPPORTED_TYPES, read_certificate

if TYPE_CHECKING:
    from cryptography import x509

    from benchmarks.certificate_files import CertificateFile

NAMES = (
    "pem, one certificate",
    "pem, chain of 3",
    "crt, DER",
    "pkcs7, DER, 3",
    "pfx, 3 and a key",
    "key, encrypted",
)
FOUND = {"rate": 1.0, "p50_ms": 1.0, "p99_ms": 2.0, "failures": {}}


@functools.cache
def files() -> dict[str, CertificateFile]:
    return {file.name: file for file in make_files()}


def secret(file: CertificateFile) -> bytes | None:
    return None if file.passphrase is None else file.passphrase.encode()


def test_every_format_is_measured_and_can_be_read() -> None:
    assert tuple(files()) == NAMES
    assert {file.certificate_type for file in files().values()} <= SUPPORTED_TYPES
    assert set(STORED) <= set(files())


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("key")])
def test_the_library_is_asked_about_the_same_leaf(name: str) -> None:
    file = files()[name]
    loaded: Any = bare(file.certificate_type, file.data, secret(file))
    ours = read_certificate(
        file.content, None, file.passphrase, file.certificate_type, datetime.now(UTC)
    )
    leaf: x509.Certificate = loaded[file.leaf_at]
    assert f"{leaf.serial_number:x}" == (ours.metadata.serial_number or "").lstrip("0")
    assert fields(file.certificate_type, file.data, secret(file), file.leaf_at)


def test_a_failed_request_makes_a_sample_void() -> None:
    assert sample_of(FOUND).p99_ms == 2.0
    with pytest.raises(VoidMeasurementError):
        sample_of({**FOUND, "failures": {"503 sealed": 1}})


def test_each_kind_of_request_is_seen_alone_and_beside_the_others() -> None:
    assert set(KINDS) == set(RATES)
    for kind in KINDS:
        assert sum(kind in kinds for kinds in SITUATIONS.values()) == 2


def test_every_way_gets_its_turn_however_short_the_sample() -> None:
    found = rates({"a": lambda: None, "b": lambda: None}, 0.001)
    assert set(found) == {"a", "b"}
    assert all(rate > 0 for rate in found.values())
