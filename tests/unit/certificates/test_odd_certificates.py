"""Certificates that break RFC 5280 and are in use all the same: one odd field takes no fact from the rest."""

import hashlib
import warnings
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import InvalidVersion, load_der_x509_certificate
from cryptography.x509.oid import NameOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from services.secrets.certificates import CertificateMetadata, CertificateRefused, read_certificate
from tests.fakes.certificates import NOW, pem_block, tlv
from tests.fakes.odd_certificates import (
    BMP,
    COMMON_NAME,
    IA5,
    NUMERIC,
    ORGANIZATION,
    PRINTABLE,
    TELETEX,
    UNIVERSAL,
    UTF8,
    algorithm,
    attribute,
    extension,
    generalized_time,
    odd,
    odd_pem,
    oid,
    rdn,
    sequence,
    utc_time,
)


def facts_of(certificate: bytes) -> CertificateMetadata:
    return read_certificate(odd_pem(certificate), None, None, "pem", NOW).metadata


def unreadable(facts: CertificateMetadata) -> str:
    """All that is said to be unreadable, in one text."""
    return " ".join(w.message for w in facts.warnings if w.code == "unreadable_field")


def is_refused_by_the_library(certificate: bytes) -> bool:
    try:
        load_der_x509_certificate(certificate)
    except (ValueError, TypeError, InvalidVersion, UnsupportedAlgorithm):
        return True
    return False


ODD_BUT_READABLE = {
    "serial with a needless zero": odd(serial=b"\x02\x02\x00\x07"),
    "version 1 spelt out": odd(version=tlv(0xA0, tlv(2, b"\0"))),
    "version 2": odd(version=tlv(0xA0, tlv(2, b"\1"))),
    "version 9": odd(version=tlv(0xA0, tlv(2, b"\x08"))),
    "NULL parameters of ECDSA": odd(signature_algorithm=algorithm("1.2.840.10045.4.3.2", b"\5\0")),
    "NULL parameters of Ed25519": odd(
        key=sequence(algorithm("1.3.101.112", b"\5\0"), tlv(3, b"\0" + bytes(range(32))))
    ),
    "at sign in a PrintableString": odd(
        issuer=sequence(rdn(attribute(COMMON_NAME, b"a@b", PRINTABLE)))
    ),
    "unsorted SET": odd(
        issuer=sequence(rdn(attribute(ORGANIZATION, b"zzz"), attribute(COMMON_NAME, b"a")))
    ),
    "criticality spelt out": odd(extensions=(extension("1.2.3.4", b"\5\0", b"\1\1\0"),)),
    "TRUE that is 1": odd(extensions=(extension("1.2.3.4", b"\5\0", b"\1\1\1"),)),
}


@pytest.mark.parametrize("certificate", ODD_BUT_READABLE.values(), ids=ODD_BUT_READABLE)
def test_every_fact_is_read_from_a_certificate_that_the_library_refuses(certificate: bytes) -> None:
    assert is_refused_by_the_library(certificate)
    facts = facts_of(certificate)
    assert facts.subject == "CN=odd.example"
    assert facts.issuer
    assert facts.not_before == datetime(2026, 1, 1, tzinfo=UTC)
    assert facts.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert facts.serial_number == "07"
    assert facts.sha256_fingerprint == hashlib.sha256(certificate).hexdigest()
    assert (facts.key_algorithm, facts.key_size) == ("Ed25519", 256)
    assert facts.signature_algorithm == "ecdsa-with-SHA256"
    assert facts.is_ca is False
    assert unreadable(facts) == ""


@pytest.mark.parametrize(
    ("tag", "octets", "shown"),
    [
        (UTF8, "Müller 😀".encode(), "Müller 😀"),
        (PRINTABLE, b"*.example_1@com", "*.example_1@com"),
        (PRINTABLE, "Müller".encode("latin-1"), "Müller"),
        (TELETEX, "Müller".encode("latin-1"), "Müller"),
        (TELETEX, "Müller".encode(), "Müller"),
        (BMP, "Ωmega".encode("utf-16-be"), "Ωmega"),
        (BMP, "😀".encode("utf-16-be"), "😀"),
        (UNIVERSAL, "Ωmega".encode("utf-32-be"), "Ωmega"),
        (IA5, b"a@b", "a@b"),
        (IA5, "é".encode("latin-1"), "é"),
        (NUMERIC, b"12 34", "12 34"),
        (NUMERIC, b"twelve", "twelve"),
        (0x1A, b"visible", "visible"),
        (0x1B, b"general", "general"),
        (UTF8, b"", ""),
        (UTF8, b"a" * 200, "a" * 200),
        (UTF8, b' #"+,;<>\\ ', r"\ #\"\+\,\;\<\>\\\ "),
        (UTF8, b"#1", r"\#1"),
        (UTF8, b" ", r"\ "),
        (2, b"\5", "#020105"),
        (3, b"\0\1", "#03020001"),
        (0x30, b"", "#3000"),
    ],
)
def test_names_in_every_string_type(tag: int, octets: bytes, shown: str) -> None:
    name = sequence(rdn(attribute(COMMON_NAME, octets, tag)))
    facts = facts_of(odd(subject=name, issuer=name))
    assert (facts.subject, facts.issuer) == (f"CN={shown}", f"CN={shown}")
    assert unreadable(facts) == ""


TYPES = [NameOID.COMMON_NAME, NameOID.USER_ID, NameOID.LOCALITY_NAME, ObjectIdentifier("1.2.3.4")]
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(TYPES), TEXTS), max_size=6))
def test_names_read_as_the_library_reads_them(
    attributes: list[tuple[ObjectIdentifier, str]],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lengths, which are the test's own making
        name = x509.Name(
            [x509.NameAttribute(kind, text, _validate=False) for kind, text in attributes]
        )
    facts = facts_of(odd(subject=name.public_bytes()))
    assert facts.subject == ", ".join(rdn.rfc4514_string() for rdn in reversed(name.rdns))


@pytest.mark.parametrize(
    ("tag", "octets"),
    [
        (UTF8, b"a\xff"),
        (BMP, b"\0a\0"),
        (BMP, b"\xd8\0"),
        (UNIVERSAL, b"\0\x11\0\0"),
        (IA5, b"a\nb"),
    ],
)
def test_text_that_is_none_is_null_and_named(tag: int, octets: bytes) -> None:
    facts = facts_of(odd(subject=sequence(rdn(attribute(COMMON_NAME, octets, tag)))))
    assert facts.subject is None
    assert "subject" in unreadable(facts)
    assert (facts.issuer, facts.serial_number) == ("CN=Odd CA", "07")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (sequence(), ""),
        (sequence(rdn()), ""),
        (sequence(rdn(), rdn(attribute(COMMON_NAME, b"a")), rdn()), "CN=a"),
        (sequence(rdn(attribute(COMMON_NAME, b"a"), attribute(ORGANIZATION, b"b"))), "CN=a+O=b"),
        (sequence(rdn(attribute(ORGANIZATION, b"b"), attribute(COMMON_NAME, b"a"))), "O=b+CN=a"),
        (
            sequence(rdn(attribute("2.5.4.6", b"Utopia")), rdn(attribute("1.2.3", b"x"))),
            "1.2.3=x, C=Utopia",
        ),
    ],
)
def test_names_with_empty_and_multi_valued_parts(name: bytes, shown: str) -> None:
    facts = facts_of(odd(subject=name))
    assert facts.subject == shown
    assert unreadable(facts) == ""


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (utc_time("491231235959Z"), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (utc_time("500101000000Z"), datetime(1950, 1, 1, tzinfo=UTC)),
        (utc_time("2701010000Z"), datetime(2027, 1, 1, tzinfo=UTC)),
        (utc_time("270101020000+0200"), datetime(2027, 1, 1, tzinfo=UTC)),
        (utc_time("2612312200-0200"), datetime(2027, 1, 1, tzinfo=UTC)),
        (generalized_time("20270101000000Z"), datetime(2027, 1, 1, tzinfo=UTC)),
        (generalized_time("20500101000000Z"), datetime(2050, 1, 1, tzinfo=UTC)),
        (generalized_time("99991231235959Z"), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (generalized_time("16000101000000Z"), datetime(1600, 1, 1, tzinfo=UTC)),
        (generalized_time("202701010000Z"), datetime(2027, 1, 1, tzinfo=UTC)),
        (generalized_time("2027010100Z"), datetime(2027, 1, 1, tzinfo=UTC)),
        (
            generalized_time("20270101000000.123456789Z"),
            datetime(2027, 1, 1, 0, 0, 0, 123456, tzinfo=UTC),
        ),
        (generalized_time("20270101013000+0130"), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_in_every_form_that_says_when_it_is(time: bytes, expected: datetime) -> None:
    facts = facts_of(odd(validity=sequence(utc_time("260101000000Z"), time)))
    assert facts.expires_at == expected
    assert facts.not_before == datetime(2026, 1, 1, tzinfo=UTC)
    assert unreadable(facts) == ""
    assert str(facts.to_json()["expires_at"]).startswith(f"{expected.year:04}-")


@pytest.mark.parametrize(
    "time",
    [
        utc_time("270101000000"),
        utc_time("271301000000Z"),
        utc_time("270230000000Z"),
        utc_time("270101000060Z"),
        utc_time("tomorrow"),
        utc_time(""),
        generalized_time("20270101000000"),
        generalized_time("00000101000000Z"),
        generalized_time("00010101000000+0100"),
        generalized_time("99991231235959-0100"),
        generalized_time("20270101000000.Z"),
        tlv(0x16, b"270101000000Z"),
    ],
)
def test_a_time_that_says_nothing_is_null_and_the_other_end_is_there(time: bytes) -> None:
    facts = facts_of(odd(validity=sequence(utc_time("260101000000Z"), time)))
    assert facts.expires_at is None
    assert facts.not_before == datetime(2026, 1, 1, tzinfo=UTC)
    assert "expires_at" in unreadable(facts)
    assert "not_before" not in unreadable(facts)


def test_a_validity_of_one_end_is_null_for_both() -> None:
    facts = facts_of(odd(validity=sequence(utc_time("260101000000Z"))))
    assert (facts.not_before, facts.expires_at) == (None, None)
    assert facts.subject == "CN=odd.example"


@pytest.mark.parametrize(
    ("serial", "shown"),
    [
        (b"\2\1\0", "00"),
        (b"\2\1\xff", None),
        (b"\2\2\xff\xff", None),
        (b"\2\0", None),
        (tlv(2, b"\1" * 40), "01" * 40),
        (tlv(2, b"\1" * 400), None),
    ],
)
def test_serial_numbers(serial: bytes, shown: str | None) -> None:
    facts = facts_of(odd(serial=serial))
    assert facts.serial_number == shown
    assert ("serial_number" in unreadable(facts)) == (shown is None)


@pytest.mark.parametrize(
    "certificate",
    [
        odd(after=b"\5\0"),
        odd(signature=tlv(4, b"\0x")),
        odd(subject=tlv(4, b"")),
        odd(validity=b""),
        odd(serial=tlv(4, b"\1")),
        odd(unique_ids=tlv(0xA5, b"")),
        odd()[:-1],
        odd() + b"\1",
        sequence(),
        sequence(sequence(), sequence(), tlv(3, b"\0")),
        oid("1.2.3"),
        b"",
    ],
)
def test_what_has_not_the_parts_of_a_certificate_is_refused(certificate: bytes) -> None:
    with pytest.raises(CertificateRefused) as refusal:
        facts_of(certificate)
    assert refusal.value.reason in {"malformed", "not_this_format", "no_certificate"}


def test_an_odd_certificate_has_a_normal_form_and_a_place_in_a_file() -> None:
    first, second = ODD_BUT_READABLE["version 9"], odd()
    text = odd_pem(first) + odd_pem(second)
    material = read_certificate(text, None, None, "pem", NOW)
    assert material.metadata.chain_length == 2
    assert material.normal_form.count(b"BEGIN CERTIFICATE") >= 1


def test_unique_identifiers_are_passed_over() -> None:
    facts = facts_of(
        odd(unique_ids=tlv(0x81, b"\0\1") + tlv(0x82, b"\0\1"), version=tlv(0xA0, b""))
    )
    assert facts.subject == "CN=odd.example"


def test_no_byte_of_the_certificate_is_in_a_warning() -> None:
    canary = sequence(rdn(attribute(COMMON_NAME, b"canary\xff")))
    facts = facts_of(odd(subject=canary, issuer=canary))
    assert "canary" not in " ".join(warning.message for warning in facts.warnings)


def test_a_block_of_another_kind_is_no_certificate() -> None:
    request = sequence(
        sequence(tlv(2, b"\0"), sequence(), odd()[:0], tlv(0xA0, b"")), sequence(), tlv(3, b"\0")
    )
    with pytest.raises(CertificateRefused):
        read_certificate(pem_block("CERTIFICATE", request), None, None, "pem", NOW)
