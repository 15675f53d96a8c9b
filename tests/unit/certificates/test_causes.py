"""A fact that is null: the warning names the true cause, and calls nothing unreadable that was read."""

import pytest

from services.secrets.certificates import read_certificate
from tests.fakes.certificates import NOW, tlv
from tests.fakes.odd_certificates import (
    BASIC_CONSTRAINTS,
    COMMON_NAME,
    alternative_names,
    attribute,
    authority,
    extension,
    generalized_time,
    odd,
    odd_key,
    odd_pem,
    rdn,
    sequence,
    utc_time,
)

BEGIN = utc_time("260101000000Z")


def ends(time: bytes) -> bytes:
    return odd(validity=sequence(BEGIN, time))


def named(value: bytes) -> bytes:
    return odd(subject=sequence(rdn(attribute(COMMON_NAME, value))))


def told(certificate: bytes) -> str:
    """All that `unreadable_field` says."""
    facts = read_certificate(odd_pem(certificate), None, None, "pem", NOW).metadata
    return " ".join(w.message for w in facts.warnings if w.code == "unreadable_field")


@pytest.mark.parametrize(
    ("certificate", "cause"),
    [
        (
            odd(serial=b"\2\1\xff"),
            "its serial_number cannot be shown: it is negative, against RFC 5280 section 4.1.2.2",
        ),
        (odd(serial=tlv(2, b"\1" * 70)), "its serial_number cannot be shown: it has 70 octets"),
        (
            odd(extensions=(authority(), extension(BASIC_CONSTRAINTS, sequence()))),
            "its is_ca cannot be shown: there are two basic constraints, and they disagree",
        ),
        (
            odd(extensions=(extension("1.2.3", b"\5\0"),) * 257),
            "its dns_names and ip_addresses cannot be shown: there are more than 256 extensions",
        ),
        (ends(utc_time("270101000000")), "its expires_at cannot be shown: it is local time"),
        (ends(generalized_time("20270101000000")), "expires_at cannot be shown: it is local time"),
        (ends(utc_time("271301000000Z")), "expires_at cannot be shown: it names no moment"),
        (
            ends(generalized_time("00000101000000Z")),
            "expires_at cannot be shown: it names no moment",
        ),
        (
            ends(generalized_time("99991231235959-0100")),
            "expires_at cannot be shown: it names no moment",
        ),
        (named(b"a\nb"), "its subject cannot be shown: it holds a control character"),
        (odd(key=odd_key("1.2.3.4.5")), "key_size cannot be shown: 1.2.3.4.5 has no name here"),
        (
            odd(key=odd_key("1.2.840.10045.2.1", b"\4" * 65)),
            "its key_size cannot be shown: the EC key is damaged, or of a form or on a curve",
        ),
        (
            odd(extensions=(alternative_names((2, b"a\0b")),)),
            "1 of its dns_names and ip_addresses are left out here: unreadable, or beyond",
        ),
    ],
    ids=[
        "negative serial",
        "long serial",
        "disagreeing constraints",
        "many extensions",
        "local time",
        "generalized local time",
        "month 13",
        "year 0",
        "year 10000",
        "line break in a name",
        "unknown key",
        "unknown curve",
        "name with a zero",
    ],
)
def test_what_was_read_and_cannot_be_shown_is_told_with_its_cause(
    certificate: bytes, cause: str
) -> None:
    assert cause in told(certificate)
    assert "could not be read" not in told(certificate)


@pytest.mark.parametrize(
    ("certificate", "field"),
    [
        (odd(serial=b"\2\0"), "serial_number"),
        (ends(utc_time("tomorrow")), "expires_at"),
        (ends(tlv(0x16, b"270101000000Z")), "expires_at"),
        (named(b"a\xff"), "subject"),
        (odd(extensions=(extension(BASIC_CONSTRAINTS, b"junk"),)), "is_ca"),
        (odd(key=sequence()), "key_algorithm and key_size"),
    ],
)
def test_what_is_damaged_could_not_be_read(certificate: bytes, field: str) -> None:
    assert f"its {field} could not be read." in told(certificate)
