"""Private keys that cannot be used: what is said about each, and that nothing of them is quoted."""

import base64
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from services.secrets.certificates import CertificateRefused, read_certificate
from services.secrets.certificates.keys.derivation import openssl_key
from services.secrets.certificates.keys.encryption import Budget
from services.secrets.certificates.keys.opening import open_key_der
from tests.fakes.certificates import NOW, ec_key, issue, key_pem, pem_block, rsa_key, tlv
from tests.vectors.certificate_corpus import asn1, pbe


def same_everywhere(value: object) -> str:
    """A test's name that is the same in every process, although keys are not."""
    return value if isinstance(value, str) and len(value) < 40 else "key"


LEAF = issue(key=ec_key())
VECTOR = bytes(range(16))
SOON = 5.0
"""Seconds of processor time; what is tested takes much less."""
P256 = asn1.oid("1.2.840.10045.3.1.7")
EC_P256 = asn1.algorithm("1.2.840.10045.2.1", P256)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
RSA_BODY = rsa_key().private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
DSA_KEY = dsa.generate_private_key(1024)


def der(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def pkcs8(algorithm: bytes, key: bytes, *more: bytes, version: int = 0) -> bytes:
    return asn1.sequence(asn1.integer(version), algorithm, asn1.octets(key), *more)


def sec1(number: int, *more: bytes, version: int = 1) -> bytes:
    return asn1.sequence(asn1.integer(version), asn1.octets(number.to_bytes(32)), *more)


def public(key: bytes) -> bytes:
    return tlv(0x81, b"\0" + key)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def refused(content: str, passphrase: str | None = None) -> CertificateRefused:
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(content, None, passphrase, "key", NOW)
    return caught.value


def other_point() -> bytes:
    return ec_key().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def dsa_traditional(*, x: int = 0, y: int = 0) -> bytes:
    numbers = DSA_KEY.private_numbers()
    group = numbers.public_numbers.parameter_numbers
    y, x = y or numbers.public_numbers.y, x or numbers.x
    return asn1.sequence(*map(asn1.integer, (0, group.p, group.q, group.g, y, x)))


def dsa_of(p: int, q: int) -> bytes:
    group = asn1.sequence(asn1.integer(p), asn1.integer(q), asn1.integer(2))
    return pkcs8(asn1.algorithm("1.2.840.10040.4.1", group), asn1.integer(5))


def rsa_with_version(version: int, *more: bytes) -> bytes:
    return asn1.sequence(asn1.integer(version), *map(asn1.integer, range(3, 11)), *more)


ED25519 = asn1.algorithm("1.3.101.112")
ED_BODY = asn1.octets(ed25519.Ed25519PrivateKey.generate().private_bytes_raw())


@pytest.mark.parametrize(
    "data",
    [
        pkcs8(EC_P256, sec1(0)),
        pkcs8(EC_P256, sec1(ORDER)),
        pkcs8(EC_P256, sec1(2**256 - 1)),
        pkcs8(EC_P256, sec1(5), version=2),
        pkcs8(EC_P256, sec1(5), version=-1),
        pkcs8(EC_P256, sec1(5), version=2**64),
        pkcs8(EC_P256, sec1(5, version=0)),
        pkcs8(EC_P256, sec1(5, version=-1)),
        pkcs8(EC_P256, sec1(5, asn1.explicit(1, asn1.bits(other_point())))),
        pkcs8(EC_P256, sec1(5, asn1.explicit(0, asn1.oid("1.3.132.0.34")))),
        pkcs8(EC_P256, sec1(5), public(other_point()), version=1),
        pkcs8(EC_P256, sec1(5), public(b"no point"), version=1),
        pkcs8(EC_P256, sec1(5), tlv(0x81, b"\1"), version=1),
        pkcs8(EC_P256, sec1(5), asn1.integer(1)),
        pkcs8(EC_P256, b""),
        pkcs8(EC_P256, b"text"),
        pkcs8(asn1.algorithm("1.2.840.10045.2.1"), sec1(5)),
        pkcs8(asn1.algorithm("1.2.840.10045.2.1", asn1.NULL), sec1(5)),
        pkcs8(asn1.algorithm("1.2.840.10045.2.1", asn1.sequence()), sec1(5)),
        sec1(5, version=2),
        sec1(5, asn1.explicit(0, b"")),
        pkcs8(ED25519, ED_BODY, public(bytes(32)), version=1),
        pkcs8(ED25519, ED_BODY[:-1]),
        pkcs8(asn1.algorithm("1.3.101.113"), ED_BODY),
        pkcs8(asn1.algorithm("1.3.101.111"), ED_BODY),
        pkcs8(asn1.sequence(), ED_BODY),
        pkcs8(asn1.sequence(asn1.integer(1)), ED_BODY),
        rsa_with_version(0),
        rsa_with_version(2),
        rsa_with_version(-1),
        rsa_with_version(1),
        dsa_traditional(y=3),
        dsa_traditional(x=DSA_KEY.private_numbers().public_numbers.parameter_numbers.q),
        dsa_traditional(x=-1),
        dsa_of(0, 0),
        dsa_of(4, 2),
        pkcs8(asn1.algorithm("1.2.840.10040.4.1"), asn1.integer(5)),
        pkcs8(asn1.algorithm("1.2.840.113549.1.1.1", asn1.NULL), b""),
    ],
    ids=same_everywhere,
)
def test_a_key_that_contradicts_itself_is_invalid(data: bytes) -> None:
    for text in (b64(data), pem_block("PRIVATE KEY", data)):
        refusal = refused(text)
        assert (refusal.field, refusal.reason) == ("certificate_content", "invalid_private_key")
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(LEAF.pem, b64(data), None, "pem", NOW)
    assert (caught.value.field, caught.value.reason) == ("private_key", "invalid_private_key")


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (pkcs8(asn1.algorithm("1.2.3.4"), b"\0"), "1.2.3.4"),
        (pkcs8(asn1.algorithm("1.2.840.113549.1.3.1"), b"\0"), "Diffie-Hellman"),
        (pkcs8(asn1.algorithm("1.2.643.7.1.1.1.1"), b"\0"), "GOST"),
        (pkcs8(asn1.algorithm("1.2.840.113549.1.1.7"), RSA_BODY), "RSAES-OAEP"),
        (
            pkcs8(asn1.algorithm("1.2.840.10045.2.1", asn1.oid("1.3.132.0.8")), sec1(5)),
            "1.3.132.0.8",
        ),
        (sec1(5, asn1.explicit(0, asn1.oid("1.2.156.10197.1.301"))), "1.2.156.10197.1.301"),
        (rsa_with_version(1, asn1.sequence()), "more than two primes"),
        (
            pkcs8(asn1.algorithm("1.2.840.113549.1.1.1"), rsa_with_version(1, asn1.sequence())),
            "more than two primes",
        ),
        (dsa_of(2**9000 + 1, 2**255 + 1), "DSA with 9001 bits"),
        (
            pkcs8(asn1.algorithm("2.16.840.1.101.3.4.3.17"), asn1.octets(bytes(2560))),
            "ML-DSA-44 without its seed",
        ),
    ],
    ids=same_everywhere,
)
def test_kinds_of_key_that_are_not_supported_are_named(data: bytes, named: str) -> None:
    refusal = refused(b64(data))
    assert (refusal.field, refusal.reason) == ("certificate_content", "unsupported_algorithm")
    assert named in refusal.message


def test_what_is_inside_an_encrypted_key_is_told_as_well() -> None:
    made = pbe.pbes2("word", rounds=3)
    for plain, reason in (
        (pkcs8(asn1.algorithm("1.2.3.4"), b"\0"), "unsupported_algorithm"),
        (rsa_with_version(1, asn1.sequence()), "unsupported_algorithm"),
        (pkcs8(EC_P256, sec1(0)), "invalid_private_key"),
        (pkcs8(EC_P256, sec1(5), version=7), "invalid_private_key"),
        (made.encrypted_key(der(ec_key())), "invalid_private_key"),
        (asn1.sequence(asn1.NULL), "wrong_passphrase"),
        (b"text", "wrong_passphrase"),
    ):
        assert refused(b64(made.encrypted_key(plain)), "word").reason == reason


def test_a_budget_that_ends_before_all_encodings_were_tried_is_no_wrong_passphrase() -> None:
    words = "5 €".encode("cp1252").decode("latin-1")
    made = pbe.pkcs12_pbe(words, "pbeWithSHA1And3-KeyTripleDES-CBC", rounds=4)
    key = made.encrypted_key(der(LEAF.key))

    def reason(trials: int, passphrase: bytes | None) -> str | None:
        with pytest.raises(CertificateRefused) as caught:
            open_key_der(key, passphrase, "private_key", Budget(trials * 4 * 3 * 250))
        return caught.value.reason

    for trials in (1, 2):
        assert reason(trials, "5 €".encode()) == "unsupported_algorithm"
        assert reason(trials, b"5 E") == "wrong_passphrase"
    assert reason(1, None) == "passphrase_required"
    assert reason(3, "6 €".encode()) == "wrong_passphrase"
    assert open_key_der(key, "5 €".encode(), "private_key", Budget(3 * 4 * 3 * 250)).encryption


def test_an_encrypted_key_tells_its_four_refusals_apart() -> None:
    made = pbe.pbes2("word", rounds=3)
    key = b64(made.encrypted_key(der(LEAF.key)))
    assert refused(key).reason == "passphrase_required"
    assert refused(key, "sword").reason == "wrong_passphrase"
    cut = asn1.sequence(made.algorithm, asn1.octets(made.seal(der(LEAF.key))[:-3]))
    assert refused(b64(cut), "word").reason == "invalid_private_key"
    unknown = asn1.sequence(asn1.algorithm("1.2.3.4"), asn1.octets(bytes(32)))
    assert refused(b64(unknown), "word").reason == "unsupported_algorithm"
    dear = pbe.pbes2("word", rounds=1, claimed=10_000_000).encrypted_key(der(LEAF.key))
    refusal = refused(b64(dear), "word")
    assert refusal.reason == "unsupported_algorithm"
    assert "1000000 iterations" in refusal.message


@pytest.mark.parametrize(
    ("content", "reason", "hint"),
    [
        (LEAF.pem + LEAF.key_pem, "not_this_format", "with 'pem' send certificate and key"),
        (LEAF.pem, "not_this_format", "certificate_type 'pem'"),
        (b64(LEAF.der), "not_this_format", "certificate_type 'crt'"),
        (pem_block("PUBLIC KEY", b"0\0"), "not_this_format", "a public key"),
        (pem_block("OPENSSH PRIVATE KEY", b"x"), "not_this_format", "ssh-keygen -p"),
        (pem_block("PKCS7", b"0\0"), "not_this_format", "PKCS#7"),
        (LEAF.key_pem + pem_block("OPENSSH PRIVATE KEY", b"x"), "not_this_format", "OpenSSH"),
        (LEAF.key_pem + key_pem(rsa_key()), "invalid_private_key", "2 private keys"),
        (pem_block("EC PARAMETERS", P256), "not_this_format", "private key"),
        (pem_block("EC PRIVATE KEY", sec1(5)), "invalid_private_key", "damaged"),
        ("hunter2", "not_this_format", "nothing Coffer recognises"),
        (b64(der(LEAF.key))[:-30], "malformed", "cut short"),
        (b64(der(LEAF.key) + b"more"), "malformed", "has more after it"),
        (LEAF.key_pem.split("-----END")[0], "malformed", "no END line"),
        (LEAF.key_pem.replace("M", "*", 1), "invalid_base64", "not valid base64"),
        (pem_block("PRIVATE KEY", LEAF.der), "invalid_private_key", "a DER certificate"),
        (pem_block("PRIVATE KEY", b"text"), "invalid_private_key", "not a readable private key"),
        (pem_block("PRIVATE KEY", der(LEAF.key)[:-3]), "invalid_private_key", "damaged"),
    ],
    ids=same_everywhere,
)
def test_content_that_is_no_single_key_is_refused_with_advice(
    content: str, reason: str, hint: str
) -> None:
    refusal = refused(content)
    assert (refusal.field, refusal.reason) == ("certificate_content", reason)
    assert hint in refusal.message


@pytest.mark.parametrize(
    ("key", "reason", "hint"),
    [
        (b64(LEAF.der), "invalid_private_key", "a DER certificate"),
        (b64(der(LEAF.key))[:-30], "invalid_private_key", "damaged"),
        (b64(der(LEAF.key)) + "*", "invalid_base64", "not valid base64"),
        (LEAF.key_pem * 21, "invalid_private_key", "21 private keys"),
        ("data:,", "empty", "empty"),
    ],
    ids=same_everywhere,
)
def test_what_is_no_key_in_the_field_for_it_is_refused_with_advice(
    key: str, reason: str, hint: str
) -> None:
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(LEAF.pem, key, None, "pem", NOW)
    assert (caught.value.field, caught.value.reason) == ("private_key", reason)
    assert hint in caught.value.message


def test_an_expanded_post_quantum_key_beside_a_seed_of_another_form_is_invalid() -> None:
    seed = mldsa.MLDSA44PrivateKey.generate().private_bytes_raw()
    for inside in (asn1.octets(seed)[:-1], tlv(0x80, seed[:-1]), asn1.sequence(), asn1.NULL):
        data = pkcs8(asn1.algorithm("2.16.840.1.101.3.4.3.17"), inside)
        assert refused(b64(data)).reason == "invalid_private_key"


def test_a_key_is_not_shown_by_what_holds_it() -> None:
    material = read_certificate(LEAF.key_pem, None, None, "key", NOW)
    body = LEAF.key_pem.splitlines()[1]
    assert body in material.normal_form.decode()
    assert body not in repr(material)


def rsa_7470(number: int) -> str:
    """One key, of two Mersenne primes; the private exponent may be any of many."""
    p, q, e = 2**3217 - 1, 2**4253 - 1, 65537
    phi = (p - 1) * (q - 1)
    d = pow(e, -1, phi) + number * phi
    values = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    return pem_block("RSA PRIVATE KEY", asn1.sequence(*map(asn1.integer, values)))


def test_a_key_that_is_there_many_times_is_checked_once() -> None:
    begun = time.process_time()
    material = read_certificate(rsa_7470(0) * 20, None, None, "key", NOW)
    assert material.metadata.key_size == 7470
    assert time.process_time() - begun < SOON


def test_large_keys_are_refused_for_the_time_that_checking_them_takes() -> None:
    """The field private_key has no price of its own."""
    content = LEAF.pem + "".join(rsa_7470(number) for number in range(6))
    begun = time.process_time()
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(content, rsa_7470(6), None, "pem", NOW)
    assert time.process_time() - begun < SOON
    assert (caught.value.field, caught.value.reason) == ("private_key", "unsupported_algorithm")
    assert "checking RSA" in caught.value.message
    assert "fewer private keys" in caught.value.message


TRADITIONAL_LINES = (
    "-----BEGIN EC PRIVATE KEY-----",
    "Proc-Type: 4,ENCRYPTED",
    "DEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F",
    "",
    b64(bytes(32)),
    "-----END EC PRIVATE KEY-----",
)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        (2, None, "DEK-Info"),
        (4, b64(bytes(33)), "was cut"),
        (2, "DEK-Info: AES-128-CBC,00", "header is damaged"),
    ],
    ids=["no-dek-info", "cut", "short-vector"],
)
def test_a_damaged_traditional_key_is_told_where(line: int, instead: str | None, said: str) -> None:
    lines = [instead if at == line else text for at, text in enumerate(TRADITIONAL_LINES)]
    refusal = refused("\n".join(text for text in lines if text is not None), "word")
    assert refusal.reason == "invalid_private_key"
    assert said in refusal.message


@pytest.mark.parametrize("octets", ["grün".encode(), "grün".encode("latin-1")])
def test_a_traditional_key_under_a_passphrase_from_a_western_terminal_opens(octets: bytes) -> None:
    key = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    sealed = pbe.encrypt("AES-128-CBC", openssl_key(octets, bytes(range(8)), 16), VECTOR, key)
    text = "\n".join((*TRADITIONAL_LINES[:4], b64(sealed), TRADITIONAL_LINES[5]))
    assert read_certificate(text, None, "grün", "key", NOW).normal_form.decode() == LEAF.key_pem
    assert refused(text, "grun").reason == "wrong_passphrase"


def test_a_key_inside_the_content_that_stays_locked_is_told_from_the_field() -> None:
    """private_key is open, and so the passphrase of the other one may be unknown."""
    locked = pem_block(
        "ENCRYPTED PRIVATE KEY", pbe.pbes2("word", rounds=3).encrypted_key(der(LEAF.key))
    )
    for passphrase, reason in ((None, "passphrase_required"), ("other", "wrong_passphrase")):
        with pytest.raises(CertificateRefused) as caught:
            read_certificate(LEAF.pem + locked, LEAF.key_pem, passphrase, "pem", NOW)
        assert caught.value.reason == reason
        assert "private key in certificate_content" in caught.value.message
        assert "leave it out of certificate_content" in caught.value.message
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(LEAF.pem, locked, None, "pem", NOW)
    assert "private key in private_key" in caught.value.message
