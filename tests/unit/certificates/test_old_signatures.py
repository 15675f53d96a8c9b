"""Signatures of the nineties: named, warned of, and verified where the algorithm is one that can be."""

import functools
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa

from services.secrets.certificates import CertificateMetadata, read_certificate
from tests.fakes.certificates import NOW, rsa_key, tlv
from tests.fakes.odd_certificates import (
    algorithm,
    authority,
    named,
    odd,
    odd_pem,
    public_key_info,
    rsa_signature,
)

OIW = "1.3.14.3.2"
MD5, SHA1 = hashes.MD5(), hashes.SHA1()
NAMES = {
    f"{OIW}.2": "md4WithRSA",
    f"{OIW}.3": "md5WithRSA",
    f"{OIW}.4": "md4WithRSAEncryption",
    f"{OIW}.13": "dsaWithSHA",
    f"{OIW}.15": "shaWithRSAEncryption",
    f"{OIW}.21": "dsaCommonWithSHA",
    f"{OIW}.24": "md2WithRSASignature",
    f"{OIW}.25": "md5WithRSASignature",
    f"{OIW}.27": "dsaWithSHA1-old",
    f"{OIW}.28": "dsaCommonWithSHA1",
    f"{OIW}.29": "sha1WithRSA",
    "1.3.14.7.2.3.1": "md2WithRSA",
}
NOT_VERIFIED = [f"{OIW}.2", f"{OIW}.13", f"{OIW}.15", f"{OIW}.24"]
"""Of hashes that nobody has any more: MD2, MD4 and the first SHA."""


@functools.cache
def dsa_key() -> dsa.DSAPrivateKey:
    return dsa.generate_private_key(1024)


def dsa_signature(tbs: bytes) -> bytes:
    return dsa_key().sign(tbs, SHA1)


def below_root(
    number: str, key: bytes, sign: Callable[[bytes], bytes] | None = None
) -> CertificateMetadata:
    """Of a leaf below a root that signed it with `sign`, or with nothing."""
    old = algorithm(number, b"\5\0")
    root = odd(
        subject=named("Odd CA"),
        issuer=named("Odd CA"),
        key=key,
        signature_algorithm=old,
        extensions=(authority(),),
        sign=sign,
    )
    forged = tlv(3, bytes(257)) if sign is None else None
    leaf = odd(signature_algorithm=old, sign=sign, signature=forged)
    return read_certificate(odd_pem(leaf) + odd_pem(root), None, None, "pem", NOW).metadata


def codes(facts: CertificateMetadata) -> list[str]:
    return [warning.code for warning in facts.warnings]


@pytest.mark.parametrize("number", NAMES)
def test_they_have_a_name_and_are_weak(number: str) -> None:
    facts = read_certificate(
        odd_pem(odd(signature_algorithm=algorithm(number, b"\5\0"))), None, None, "pem", NOW
    ).metadata
    assert facts.signature_algorithm == NAMES[number]
    assert "weak_signature" in codes(facts)


@pytest.mark.parametrize(
    ("number", "digest"),
    [(f"{OIW}.3", MD5), (f"{OIW}.25", MD5), (f"{OIW}.29", SHA1)],
    ids=["md5WithRSA", "md5WithRSASignature", "sha1WithRSA"],
)
def test_those_of_rsa_are_verified(number: str, digest: hashes.HashAlgorithm) -> None:
    key = public_key_info(rsa_key().public_key())
    assert codes(below_root(number, key, rsa_signature(rsa_key(), digest))) == ["weak_signature"]
    assert codes(below_root(number, key)) == ["weak_signature", "incomplete_chain"]


@pytest.mark.parametrize("number", [f"{OIW}.27", f"{OIW}.28", "1.2.840.10040.4.3"])
def test_those_of_dsa_are_verified(number: str) -> None:
    key = public_key_info(dsa_key().public_key())
    assert codes(below_root(number, key, dsa_signature)) == ["weak_key", "weak_signature"]
    assert "incomplete_chain" in codes(below_root(number, key))


@pytest.mark.parametrize("number", NOT_VERIFIED)
def test_one_that_cannot_be_verified_is_told(number: str) -> None:
    facts = below_root(number, public_key_info(rsa_key().public_key()))
    assert codes(facts) == ["weak_signature", "unreadable_field"]
    assert "could not be verified" in facts.warnings[-1].message


def test_the_warning_names_no_hash_that_is_not_the_one() -> None:
    facts = below_root(f"{OIW}.2", public_key_info(rsa_key().public_key()))
    assert "MD5, SHA-1 or an older hash" in facts.warnings[0].message
