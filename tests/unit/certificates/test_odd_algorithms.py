"""Keys and signatures of every kind: named where they have a name, compared where they can be."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, mldsa, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.secrets.certificates import CertificateMetadata, CertificateRefused, read_certificate
from tests.fakes.certificates import NOW, ec_key, issue, key_pem, rsa_key, tlv
from tests.fakes.odd_certificates import (
    algorithm,
    ecdsa,
    named,
    odd,
    odd_key,
    odd_pem,
    oid,
    public_key_info,
    rsa_signature,
    sequence,
)

EC = "1.2.840.10045.2.1"
RSA = "1.2.840.113549.1.1.1"
NIST = "2.16.840.1.101.3.4"
BIG = b"\0" + b"\xff" * 256


def read(certificate: bytes, key: str | None = None) -> CertificateMetadata:
    return read_certificate(odd_pem(certificate), key, None, "pem", NOW).metadata


def codes(facts: CertificateMetadata) -> list[str]:
    return [warning.code for warning in facts.warnings]


def unreadable(facts: CertificateMetadata) -> str:
    return " ".join(w.message for w in facts.warnings if w.code == "unreadable_field")


@pytest.mark.parametrize(
    ("key", "name", "size"),
    [
        (odd_key(f"{NIST}.3.17", b"\1" * 1312), "ML-DSA-44", 10496),
        (odd_key(f"{NIST}.3.18", b"\1" * 1952), "ML-DSA-65", 15616),
        (odd_key(f"{NIST}.3.19", b"\1" * 2592), "ML-DSA-87", 20736),
        (odd_key(f"{NIST}.3.20", b"\1" * 32), "SLH-DSA-SHA2-128s", 256),
        (odd_key(f"{NIST}.3.31", b"\1" * 64), "SLH-DSA-SHAKE-256f", 512),
        (odd_key(f"{NIST}.4.1", b"\1" * 800), "ML-KEM-512", 6400),
        (odd_key(f"{NIST}.4.2", b"\1" * 1184), "ML-KEM-768", 9472),
        (odd_key(f"{NIST}.4.3", b"\1" * 1568), "ML-KEM-1024", 12544),
        (odd_key("1.3.9999.3.6", b"\1" * 897), "falcon512", 7176),
        (public_key_info(x25519.X25519PrivateKey.generate().public_key()), "X25519", 256),
        (public_key_info(x448.X448PrivateKey.generate().public_key()), "X448", 448),
        (public_key_info(ed448.Ed448PrivateKey.generate().public_key()), "Ed448", 456),
        (public_key_info(ec.generate_private_key(ec.SECP521R1()).public_key()), "EC", 521),
        (odd_key(EC, b"\4" + b"\1" * 64, oid("1.2.156.10197.1.301")), "EC", 256),
        (odd_key("1.2.840.113549.1.1.10", sequence(tlv(2, BIG), tlv(2, b"\1\0\1"))), "RSA", 2048),
    ],
)
def test_keys_have_a_name_and_a_size(key: bytes, name: str, size: int) -> None:
    facts = read(odd(key=key))
    assert (facts.key_algorithm, facts.key_size) == (name, size)
    assert unreadable(facts) == ""


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (odd_key(EC, b"\4" * 65, oid("1.3.132.0.99")), "EC"),
        (odd_key(EC, b"\4" * 65), "EC"),
        (odd_key(EC, b"\4" * 65, sequence()), "EC"),
        (odd_key(RSA, b"junk", b"\5\0"), "RSA"),
        (odd_key(RSA, sequence(tlv(2, BIG), tlv(2, b"\1")), b"\5\0"), "RSA"),
        (odd_key("1.2.840.10040.4.1", b"junk"), "DSA"),
        (odd_key("1.2.643.7.1.1.1.1", b"\1" * 66, sequence()), "GOST R 34.10-2012 (256 bit)"),
        (sequence(algorithm(f"{NIST}.3.20")), "SLH-DSA-SHA2-128s"),
        (odd_key("1.2.840.113549.1.3.1", tlv(2, BIG), sequence()), "DH"),
    ],
)
def test_a_key_that_is_damaged_or_on_an_unknown_curve_has_its_name_at_least(
    key: bytes, name: str
) -> None:
    facts = read(odd(key=key))
    assert (facts.key_algorithm, facts.key_size) == (name, None)
    assert "key_size" in unreadable(facts)
    assert facts.subject == "CN=odd.example"


def test_an_unknown_key_algorithm_is_null_and_its_number_is_told() -> None:
    facts = read(odd(key=odd_key("1.2.3.4.5")))
    assert (facts.key_algorithm, facts.key_size) == (None, None)
    assert "key_algorithm and key_size cannot be shown: 1.2.3.4.5" in unreadable(facts)
    assert read(odd(key=sequence())).key_algorithm is None


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (f"{NIST}.3.17", "ML-DSA-44"),
        (f"{NIST}.3.29", "SLH-DSA-SHAKE-192f"),
        (f"{NIST}.3.34", "HASH-ML-DSA-87-WITH-SHA512"),
        ("1.2.156.10197.1.501", "SM2-with-SM3"),
        ("1.2.3.4.5", "1.2.3.4.5"),
    ],
)
def test_signature_algorithms_have_their_name_or_number(number: str, shown: str) -> None:
    facts = read(odd(signature_algorithm=algorithm(number)))
    assert facts.signature_algorithm == shown
    assert unreadable(facts) == ""


def test_a_signature_without_an_algorithm_is_null() -> None:
    facts = read(odd(outer_algorithm=sequence()))
    assert facts.signature_algorithm is None
    assert "signature_algorithm" in unreadable(facts)


@pytest.mark.parametrize(
    ("key", "is_weak"),
    [
        (ec.generate_private_key(ec.SECP192R1()), True),
        (ec.generate_private_key(ec.SECP224R1()), False),
        (rsa_key(1024), True),
        (rsa_key(), False),
        (ed448.Ed448PrivateKey.generate(), False),
    ],
    ids=["EC-192", "EC-224", "RSA-1024", "RSA-2048", "Ed448"],
)
def test_weak_keys(key: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey, is_weak: bool) -> None:
    facts = read(odd(key=public_key_info(key.public_key())))
    assert ("weak_key" in codes(facts)) == is_weak


def test_a_small_curve_that_the_library_does_not_know_is_weak_too() -> None:
    facts = read(odd(key=odd_key(EC, b"\4" + b"\1" * 40, oid("1.3.132.0.8"))))
    assert (facts.key_size, codes(facts)) == (160, ["weak_key", "incomplete_chain"])


def test_a_post_quantum_key_is_compared_with_its_certificate() -> None:
    key, other = mldsa.MLDSA44PrivateKey.generate(), mldsa.MLDSA44PrivateKey.generate()
    certificate = odd(
        key=public_key_info(key.public_key()),
        issuer=named("pq"),
        subject=named("pq"),
        signature_algorithm=algorithm(f"{NIST}.3.17"),
        sign=key.sign,
    )
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    facts = read(certificate, text)
    assert (facts.has_private_key, codes(facts)) == (True, ["self_signed"])
    with pytest.raises(CertificateRefused) as refusal:
        read(
            certificate,
            other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        )
    assert refusal.value.reason == "key_mismatch"


def test_a_key_that_cannot_be_compared_is_refused_for_that() -> None:
    with pytest.raises(CertificateRefused) as refusal:
        read(odd(key=odd_key(f"{NIST}.3.20", b"\1" * 32)), key_pem(ec_key()))
    assert refusal.value.reason == "unsupported_algorithm"


def test_the_key_of_a_certificate_that_the_library_refuses_is_compared_too() -> None:
    key = ec_key()
    certificate = odd(key=public_key_info(key.public_key()), version=tlv(0xA0, tlv(2, b"\x08")))
    assert read(certificate, key_pem(key)).has_private_key
    with pytest.raises(CertificateRefused) as refusal:
        read(certificate, key_pem(ec_key()))
    assert refusal.value.reason == "key_mismatch"


@pytest.mark.parametrize(
    ("number", "digest"),
    [("1.2.840.113549.1.1.5", hashes.SHA1()), ("1.2.840.113549.1.1.4", hashes.MD5())],
    ids=["SHA-1", "MD5"],
)
def test_old_signatures_are_verified_and_warned_of(
    number: str, digest: hashes.HashAlgorithm
) -> None:
    authority = issue("Old CA", key=rsa_key(), ca=True)
    subject = authority.certificate.subject.public_bytes()
    sign = rsa_signature(rsa_key(), digest)
    old = algorithm(number, b"\5\0")
    leaf = odd(issuer=subject, signature_algorithm=old, sign=sign)
    forged = odd(issuer=subject, signature_algorithm=old, signature=tlv(3, b"\0" * 257))
    weak = ["weak_signature"]
    for certificate, expected in ((leaf, weak), (forged, [*weak, "incomplete_chain"])):
        text = odd_pem(certificate) + authority.pem
        facts = read_certificate(text, None, None, "pem", NOW).metadata
        assert codes(facts) == expected


def test_the_key_of_another_kind_than_the_signature_signed_nothing() -> None:
    authority = issue("CA", ca=True)
    leaf = odd(
        issuer=authority.certificate.subject.public_bytes(),
        signature_algorithm=algorithm("1.2.840.113549.1.1.11", b"\5\0"),
        sign=ecdsa(ec_key()),
    )
    facts = read_certificate(odd_pem(leaf) + authority.pem, None, None, "pem", NOW).metadata
    assert codes(facts) == ["incomplete_chain"]


def test_an_algorithm_that_was_exchanged_outside_the_signed_part_is_no_signature() -> None:
    key = ec_key()
    authority = issue("CA", key=key, ca=True)
    leaf = odd(
        issuer=authority.certificate.subject.public_bytes(),
        signature_algorithm=algorithm("1.2.840.10045.4.3.3"),
        outer_algorithm=algorithm("1.2.840.10045.4.3.2"),
        sign=ecdsa(key),
    )
    facts = read_certificate(odd_pem(leaf) + authority.pem, None, None, "pem", NOW).metadata
    assert codes(facts) == ["incomplete_chain"]
