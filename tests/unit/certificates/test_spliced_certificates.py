"""Certificates that were cut or spliced inside: the outer lengths are right, those within do not fit."""

import base64

import pytest

from services.secrets.certificates import CertificateRefused, read_certificate
from tests.fakes.certificates import NOW, tlv
from tests.fakes.odd_certificates import (
    COMMON_NAME,
    algorithm,
    attribute,
    extension,
    odd,
    odd_pem,
    rdn,
    sequence,
    utc_time,
)

TIME = utc_time("260101000000Z")
SPLICED = {
    "name that ends in an attribute": odd(subject=sequence(rdn(attribute(COMMON_NAME, b"a")[:-1]))),
    "name that ends in a length": odd(issuer=sequence(tlv(0x31, b"\x30"))),
    "text in place of a name": odd(subject=sequence(b"example.com")),
    "time cut short": odd(validity=sequence(TIME, TIME[:-1])),
    "time and a half": odd(validity=sequence(TIME, TIME, TIME[:4])),
    "key cut short": odd(key=sequence(algorithm("1.3.101.112"), tlv(3, bytes(33))[:-1])),
    "algorithm of a key cut short": odd(key=sequence(sequence(b"\x06\x09\x2a"))),
    "extensions that are none": odd(extensions=(b"\x30",)),
    "extension cut short": odd(extensions=(extension("1.2.3.4", b"\5\0")[:-1],)),
    "extension with a giant": odd(extensions=(sequence(b"\x04\x84\xff\xff\xff\xff"),)),
    "zeros in an extension": odd(extensions=(sequence(bytes(8)),)),
    "signature algorithm cut short": odd(outer_algorithm=sequence(b"\x06\x09\x2a")),
    "nesting without end": odd(subject=sequence(b"\x30\x80" * 200 + b"\0\0" * 200)),
}


def reason_of(content: str, certificate_type: str) -> str | None:
    with pytest.raises(CertificateRefused) as refusal:
        read_certificate(content, None, None, certificate_type, NOW)
    return refusal.value.reason


@pytest.mark.parametrize("certificate", SPLICED.values(), ids=SPLICED)
def test_lengths_that_do_not_fit_together_are_damage_and_no_oddity(certificate: bytes) -> None:
    assert reason_of(odd_pem(certificate), "pem") == "malformed"
    assert reason_of(base64.b64encode(certificate).decode(), "crt") == "malformed"


def test_the_one_of_several_that_is_damaged_is_named() -> None:
    damaged = SPLICED["name that ends in an attribute"]
    with pytest.raises(CertificateRefused) as refusal:
        read_certificate(odd_pem(odd()) + odd_pem(damaged), None, None, "pem", NOW)
    assert refusal.value.message.startswith("Certificate 2 of 2 (line ")


def test_bytes_that_went_missing_in_a_file_are_noticed_wherever_they_were() -> None:
    whole = odd(extensions=(extension("1.2.3.4", b"\5\0"),), version=tlv(0xA0, tlv(2, b"\x08")))
    body = whole[2:] if whole[1] < 0x80 else whole[2 + (whole[1] & 0x7F) :]
    for at in range(0, len(body), 3):
        spliced = sequence(body[:at] + body[at + 8 :])
        assert reason_of(odd_pem(spliced), "pem") in {"malformed", "not_this_format"}


@pytest.mark.parametrize(
    "certificate",
    [
        odd(extensions=(extension("2.5.29.19", b"junk"),)),
        odd(extensions=(extension("1.2.3.4", b""), extension("1.2.3.4", b""))),
        odd(key=sequence(algorithm("1.2.840.113549.1.1.1", b"\5\0"), tlv(3, b"\0junk"))),
        odd(subject=sequence(rdn(attribute(COMMON_NAME, b"a\xff")))),
        odd(subject=sequence(tlv(0x5F, b"")[:1] + b"\x20\0")),
        odd(subject=sequence(b"\x31\x80" + attribute(COMMON_NAME, b"a") + b"\0\0")),
        odd(validity=sequence(TIME, utc_time("never"))),
    ],
)
def test_what_is_odd_and_whole_is_taken(certificate: bytes) -> None:
    facts = read_certificate(odd_pem(certificate), None, None, "pem", NOW).metadata
    assert facts.serial_number == "07"
