"""RSASSA-PSS, whose strength and form are in its parameters (RFC 4055), in certificates good and odd."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from services.secrets.certificates import CertificateMetadata, read_certificate
from tests.fakes.certificates import NOW, rsa_key, tlv
from tests.fakes.odd_certificates import (
    VALIDITY,
    algorithm,
    authority,
    named,
    odd,
    odd_pem,
    public_key_info,
    sequence,
    utc_time,
)

PSS = "1.2.840.113549.1.1.10"
MGF1 = "1.2.840.113549.1.1.8"
SHA1, MD5 = "1.3.14.3.2.26", "1.2.840.113549.2.5"
SHA256, SHA512 = "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.3"
WITHOUT_SECONDS = sequence(utc_time("2601010000Z"), utc_time("2701010000Z"))
"""The library refuses a certificate for it."""

How = tuple[hashes.HashAlgorithm, hashes.HashAlgorithm, int]
"""Hash, hash of the mask, octets of salt."""

both_kinds = pytest.mark.parametrize(
    "validity", [VALIDITY, WITHOUT_SECONDS], ids=["regular", "odd"]
)


def scheme(digest: str, mask: str, salt: int) -> bytes:
    """The parameters, every one spelt out."""
    return sequence(
        tlv(0xA0, algorithm(digest, b"\5\0")),
        tlv(0xA1, algorithm(MGF1, algorithm(mask, b"\5\0"))),
        tlv(0xA2, tlv(2, bytes([salt]))),
    )


def sign(
    tbs: bytes, digest: hashes.HashAlgorithm, mask: hashes.HashAlgorithm, salt: int = 32
) -> bytes:
    return rsa_key().sign(tbs, padding.PSS(padding.MGF1(mask), salt), digest)


KNOWN: dict[str, tuple[bytes, How]] = {
    "spelt out": (scheme(SHA256, SHA256, 32), (hashes.SHA256(), hashes.SHA256(), 32)),
    "two hashes": (scheme(SHA512, SHA256, 20), (hashes.SHA512(), hashes.SHA256(), 20)),
    "defaults": (sequence(), (hashes.SHA1(), hashes.SHA1(), 20)),
    "SHA-1": (scheme(SHA1, SHA1, 20), (hashes.SHA1(), hashes.SHA1(), 20)),
    "MD5": (scheme(MD5, SHA256, 16), (hashes.MD5(), hashes.SHA256(), 16)),
    "no salt": (scheme(SHA256, SHA256, 0), (hashes.SHA256(), hashes.SHA256(), 0)),
    "SHA-1 spelt out, the rest left": (
        sequence(tlv(0xA0, algorithm(SHA1)), tlv(0xA3, tlv(2, b"\1"))),
        (hashes.SHA1(), hashes.SHA1(), 20),
    ),
}
WEAK = {"defaults", "SHA-1", "MD5", "SHA-1 spelt out, the rest left"}


def below_root(
    parameters: tuple[bytes, ...],
    validity: bytes,
    signature: bytes | None = None,
    signed: How | None = None,
) -> CertificateMetadata:
    """Of a leaf with these parameters and an authority whose own signature is sound."""
    own = scheme(SHA256, SHA256, 32)
    root = odd(
        signature_algorithm=algorithm(PSS, own),
        subject=named("Odd CA"),
        key=public_key_info(rsa_key().public_key()),
        extensions=(authority(),),
        sign=lambda tbs: sign(tbs, hashes.SHA256(), hashes.SHA256()),
    )
    leaf = odd(
        signature_algorithm=algorithm(PSS, *parameters),
        validity=validity,
        signature=signature,
        sign=None if signed is None else lambda tbs: sign(tbs, *signed),
    )
    return read_certificate(odd_pem(leaf) + odd_pem(root), None, None, "pem", NOW).metadata


def codes(facts: CertificateMetadata) -> list[str]:
    return [warning.code for warning in facts.warnings]


@both_kinds
@pytest.mark.parametrize("name", KNOWN)
def test_a_signature_is_verified_with_the_parameters_it_names(name: str, validity: bytes) -> None:
    parameters, how = KNOWN[name]
    facts = below_root((parameters,), validity, signed=how)
    assert facts.signature_algorithm == "rsassaPss"
    assert codes(facts) == (["weak_signature"] if name in WEAK else [])


@both_kinds
@pytest.mark.parametrize("name", KNOWN)
def test_a_forged_signature_breaks_the_chain_and_is_named(name: str, validity: bytes) -> None:
    facts = below_root((KNOWN[name][0],), validity, tlv(3, bytes(257)))
    weak = ["weak_signature"] if name in WEAK else []
    assert codes(facts) == [*weak, "incomplete_chain"]
    assert "between certificates 1 and 2" in facts.warnings[-1].message


@both_kinds
def test_a_signature_under_other_parameters_is_none(validity: bytes) -> None:
    for how in (
        (hashes.SHA256(), hashes.SHA1(), 32),
        (hashes.SHA512(), hashes.SHA256(), 32),
        (hashes.SHA256(), hashes.SHA256(), 20),
    ):
        facts = below_root((scheme(SHA256, SHA256, 32),), validity, signed=how)
        assert codes(facts) == ["incomplete_chain"]


@both_kinds
@pytest.mark.parametrize(
    "parameters",
    [
        (sequence(tlv(0xA2, tlv(2, b"\x7f" * 9))),),
        (sequence(tlv(0xA2, tlv(2, b"\xff"))),),
        (sequence(tlv(0xA2, b"")),),
        (sequence(tlv(0xA3, tlv(2, b"\2"))),),
        (sequence(tlv(0xA4, tlv(2, b"\2"))),),
        (sequence(tlv(0xA0, algorithm(SHA256)), tlv(0xA0, algorithm(SHA256))),),
        (sequence(tlv(0xA1, algorithm(MGF1))),),
        (sequence(), sequence()),
        (tlv(4, b""),),
    ],
)
def test_parameters_that_are_none_verify_nothing(
    parameters: tuple[bytes, ...], validity: bytes
) -> None:
    facts = below_root(parameters, validity, signed=(hashes.SHA1(), hashes.SHA1(), 20))
    assert "incomplete_chain" in codes(facts)


@both_kinds
@pytest.mark.parametrize(
    "parameters",
    [
        sequence(tlv(0xA0, algorithm("1.2.3.4"))),
        sequence(tlv(0xA1, algorithm("1.2.3.4"))),
        sequence(tlv(0xA1, algorithm(MGF1, algorithm("1.2.3.4")))),
    ],
)
def test_a_hash_that_is_not_known_is_told_and_no_forgery(
    parameters: bytes, validity: bytes
) -> None:
    facts = below_root((parameters,), validity, tlv(3, bytes(257)))
    assert "unreadable_field" in codes(facts)
    assert "incomplete_chain" not in codes(facts)


@both_kinds
@pytest.mark.parametrize("parameters", [(), (b"\5\0",)], ids=["absent", "NULL"])
def test_parameters_left_out_are_the_defaults(
    parameters: tuple[bytes, ...], validity: bytes
) -> None:
    how = (hashes.SHA1(), hashes.SHA1(), 20)
    facts = below_root(parameters, validity, signed=how)
    assert codes(facts) == ["weak_signature"]
