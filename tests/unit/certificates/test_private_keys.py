"""Private keys in every form that people have, and the ones that must not be stored."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from services.secrets.certificates import CertificateMaterial, CertificateRefused, read_certificate
from tests.fakes.certificates import (
    NOW,
    chain,
    ec_key,
    encrypted_info,
    encrypted_pem,
    issue,
    key_pem,
    pem_block,
    rsa_key,
    tlv,
)

TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
EC = issue(key=ec_key())
RSA = issue(key=rsa_key())
EC_PARAMETERS = pem_block("EC PARAMETERS", b"\x06\x08*\x86H\xce=\x03\x01\x07")


def read(content: str, key: str | None, passphrase: str | None = None) -> CertificateMaterial:
    return read_certificate(content, key, passphrase, "pem", NOW)


def refused(content: str, key: str | None, passphrase: str | None = None) -> CertificateRefused:
    with pytest.raises(CertificateRefused) as caught:
        read(content, key, passphrase)
    return caught.value


def codes(material: CertificateMaterial) -> set[str]:
    return {warning.code for warning in material.metadata.warnings}


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (EC.pem, EC.key_pem),
        (EC.pem, key_pem(EC.key, key_format=TRADITIONAL)),
        (EC.pem, EC_PARAMETERS + key_pem(EC.key, key_format=TRADITIONAL)),
        (RSA.pem, RSA.key_pem),
        (RSA.pem, key_pem(RSA.key, key_format=TRADITIONAL)),
        (RSA.pem, "\ufeffBag Attributes\r\n" + RSA.key_pem.replace("\n", "\r\n")),
        (RSA.pem, RSA.pem + RSA.key_pem),
    ],
    ids=["ec-pkcs8", "sec1", "sec1-params", "rsa-pkcs8", "pkcs1", "crlf", "with-certificate"],
)
def test_plain_keys_are_read(content: str, key: str) -> None:
    material = read(content, key)
    assert material.private_key == key.encode()
    assert material.metadata.has_private_key
    assert not material.metadata.has_passphrase


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.BrainpoolP384R1()),
    ],
)
def test_other_kinds_of_key_are_read(key: ec.EllipticCurvePrivateKey) -> None:
    leaf = issue(key=key)
    assert read(leaf.pem, leaf.key_pem).metadata.has_private_key


@pytest.mark.parametrize(
    "key",
    [
        key_pem(RSA.key, "Größe 1"),
        key_pem(RSA.key, "Größe 1", TRADITIONAL),
        encrypted_pem(RSA.key, "Größe 1", rounds=600_000),
    ],
    ids=["pkcs8", "proc-type", "owasp-rounds"],
)
def test_encrypted_keys_need_the_right_passphrase(key: str) -> None:
    material = read(RSA.pem, key, "Größe 1")
    assert material.metadata.has_passphrase
    assert material.passphrase == "Größe 1".encode()
    wrong, missing = refused(RSA.pem, key, "Grösse 1"), refused(RSA.pem, key)
    assert (wrong.field, wrong.reason) == ("passphrase", "wrong_passphrase")
    assert (missing.field, missing.reason) == ("passphrase", "passphrase_required")
    assert refused(RSA.pem, key, "").reason == "passphrase_required"
    assert "line break" in refused(RSA.pem, key, "Größe 1\n").message


def test_a_passphrase_for_a_plain_key_is_kept_for_its_consumer() -> None:
    material = read(EC.pem, EC.key_pem, "for the proxy")
    assert material.metadata.has_passphrase
    assert material.passphrase == b"for the proxy"


def test_an_empty_passphrase_is_none() -> None:
    assert read(EC.pem, EC.key_pem, "").passphrase is None


def test_the_key_may_come_inside_the_content() -> None:
    material = read(EC.key_pem + EC.pem, None)
    assert material.metadata.has_private_key
    assert material.private_key is None
    inside = refused(EC.pem + key_pem(EC.key, "x"), None)
    assert inside.reason == "passphrase_required"
    assert read(EC.pem + key_pem(EC.key, "x"), None, "x").metadata.has_passphrase


def test_two_keys_must_be_the_same() -> None:
    assert read(EC.pem + EC.key_pem, key_pem(EC.key, key_format=TRADITIONAL)).private_key
    other = refused(EC.pem + EC.key_pem, RSA.key_pem)
    assert (other.field, other.reason) == ("private_key", "key_mismatch")


def test_a_key_of_another_certificate_is_refused() -> None:
    for key in (key_pem(ec_key()), RSA.key_pem):
        refusal = refused(EC.pem, key)
        assert (refusal.field, refusal.reason) == ("private_key", "key_mismatch")
    inside = refused(EC.pem + RSA.key_pem, None)
    assert inside.reason == "key_mismatch"


def test_the_key_of_a_ca_further_up_is_refused_and_named() -> None:
    made = chain()
    refusal = refused(made.leaf.pem + made.intermediate.pem, made.intermediate.key_pem)
    assert refusal.reason == "key_mismatch"
    assert "certificate 2" in refusal.message


@pytest.mark.parametrize(
    ("key", "reason", "hint"),
    [
        ("", "empty", "leave it out"),
        (" \n", "empty", "leave it out"),
        ("hunter2", "invalid_private_key", "nothing Coffer recognises"),
        (EC.pem, "invalid_private_key", "a certificate"),
        (pem_block("PUBLIC KEY", b"0\0"), "invalid_private_key", "a public key"),
        (pem_block("OPENSSH PRIVATE KEY", b"x"), "invalid_private_key", "ssh-keygen -p"),
        (EC.key_pem + RSA.key_pem, "invalid_private_key", "2 private keys"),
        (EC.key_pem.split("-----END")[0], "invalid_private_key", "no END line"),
        (EC.key_pem.replace("M", "*", 1), "invalid_base64", "base64"),
        (pem_block("PRIVATE KEY", b"0\0"), "invalid_private_key", "damaged"),
        (pem_block("ENCRYPTED PRIVATE KEY", b"0\0"), "invalid_private_key", "damaged"),
        (pem_block("ENCRYPTED PRIVATE KEY", b"\x30\x80"), "invalid_private_key", "damaged"),
        ("\ud800", "malformed", "Unicode"),
    ],
)
def test_unusable_keys_are_refused_with_advice(key: str, reason: str, hint: str) -> None:
    refusal = refused(EC.pem, key)
    assert (refusal.field, refusal.reason) == ("private_key", reason)
    assert hint in refusal.message


def number(value: int) -> bytes:
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def rsa_with(**changes: int) -> str:
    """A PKCS#1 key, one of whose numbers is wrong."""
    numbers = rsa_key().private_numbers()
    named = {"n": numbers.public_numbers.n, "e": numbers.public_numbers.e, "d": numbers.d}
    named |= {"p": numbers.p, "q": numbers.q, "dmp1": numbers.dmp1, "dmq1": numbers.dmq1}
    named |= {"iqmp": numbers.iqmp} | changes
    return pem_block(
        "RSA PRIVATE KEY", tlv(0x30, number(0) + b"".join(map(number, named.values())))
    )


@pytest.mark.parametrize("which", ["p", "q", "d", "dmp1", "dmq1", "iqmp"])
def test_a_damaged_rsa_key_is_refused_whichever_number_is_wrong(which: str) -> None:
    value = getattr(rsa_key().private_numbers(), which)
    refusal = refused(RSA.pem, rsa_with(**{which: value - 2}))
    assert (refusal.field, refusal.reason) == ("private_key", "invalid_private_key")


def test_rsa_factors_that_are_not_prime_are_refused() -> None:
    p, e = rsa_key(1024).private_numbers().p, 65537
    q = rsa_key().private_numbers().public_numbers.n  # a product of two
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    )
    crafted = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    assert refused(RSA.pem, key_pem(crafted)).reason == "invalid_private_key"


def test_a_giant_rsa_key_is_refused_without_being_worked_on() -> None:
    p = (1 << 8000) + 1
    numbers = rsa.RSAPrivateNumbers(p, p, 3, 3, 3, 3, rsa.RSAPublicNumbers(65537, p * p))
    giant = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    refusal = refused(RSA.pem, key_pem(giant))
    assert (refusal.field, refusal.reason) == ("private_key", "unsupported_algorithm")
    assert "16001 bits" in refusal.message


def derivation(oid: str, *parameters: bytes) -> bytes:
    return tlv(0x30, tlv(6, bytes.fromhex(oid)) + tlv(0x30, b"".join(parameters)))


SALT = tlv(4, b"salt")
PBKDF2, SCRYPT = "2a864886f70d01050c", "2b06010401da47040b"


@pytest.mark.parametrize(
    ("kdf", "hint"),
    [
        (derivation(PBKDF2, SALT, number(10_000_000)), "iterations"),
        (derivation(PBKDF2, SALT, number(2**63)), "iterations"),
        (derivation(SCRYPT, SALT, number(2**30), number(8), number(1)), "MiB"),
        (derivation(SCRYPT, SALT, number(2), number(1), number(1000)), "passes"),
        (derivation("2a0304"), "key derivation 1.2.3.4"),
    ],
    ids=["pbkdf2", "pbkdf2-64-bit", "scrypt-memory", "scrypt-passes", "unknown"],
)
def test_dear_or_unknown_derivations_are_refused_before_they_are_run(kdf: bytes, hint: str) -> None:
    aes = tlv(0x30, tlv(6, bytes.fromhex("60864801650304012a")) + tlv(4, b"\0" * 16))
    refusal = refused(EC.pem, encrypted_info(kdf, aes, b"\0" * 32), "x")
    assert (refusal.field, refusal.reason) == ("private_key", "unsupported_algorithm")
    assert hint in refusal.message


def test_a_dear_pbes1_derivation_is_refused_before_it_is_run() -> None:
    md5_des = tlv(6, bytes.fromhex("2a864886f70d010503"))
    algorithm = tlv(0x30, md5_des + tlv(0x30, SALT + number(5_000_000)))
    key = pem_block("ENCRYPTED PRIVATE KEY", tlv(0x30, algorithm + tlv(4, b"\0" * 32)))
    assert "iterations" in refused(EC.pem, key, "x").message


def test_an_unknown_cipher_is_refused_as_unsupported() -> None:
    kdf = derivation(PBKDF2, SALT, number(1))
    cipher = tlv(0x30, tlv(6, b"\x2a\x03\x04") + tlv(4, b"\0" * 16))
    refusal = refused(EC.pem, encrypted_info(kdf, cipher, b"\0" * 32), "x")
    assert refusal.reason == "unsupported_algorithm"
    assert "1.2.3.4" in refusal.message


def test_a_traditional_key_under_an_unknown_cipher_is_refused_without_quoting_it() -> None:
    header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: ROT13-canary,0011223344556677\n\n"
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{header}AAAAAAAAAAA=\n-----END RSA PRIVATE KEY-----\n"
    refusal = refused(EC.pem, key, "x")
    assert refusal.reason == "unsupported_algorithm"
    assert "canary" not in refusal.message


def test_an_unknown_key_algorithm_is_named() -> None:
    body = tlv(2, b"\0") + tlv(0x30, tlv(6, b"\x2a\x03\x04")) + tlv(4, b"\0\0")
    refusal = refused(EC.pem, pem_block("PRIVATE KEY", tlv(0x30, body)))
    assert refusal.reason == "unsupported_algorithm"
    assert "1.2.3.4" in refusal.message


def test_old_encryption_is_a_warning_and_modern_is_none() -> None:
    assert "legacy_encryption" in codes(read(RSA.pem, key_pem(RSA.key, "x", TRADITIONAL), "x"))
    triple_des = encrypted_pem(RSA.key, "x", rounds=2048, triple_des=True)
    assert "legacy_encryption" in codes(read(RSA.pem, triple_des, "x"))
    assert "legacy_encryption" not in codes(read(RSA.pem, key_pem(RSA.key, "x"), "x"))


def test_a_dsa_key_that_no_certificate_has_is_a_mismatch_not_a_crash() -> None:
    key = dsa.generate_private_key(1024)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    assert refused(EC.pem, text).reason == "key_mismatch"
