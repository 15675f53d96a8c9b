"""What stands between a ciphertext and its passphrase: price, unknown methods, damage, odd passphrases."""

import time

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from services.secrets.certificates.encodings import der
from services.secrets.certificates.formats.pkcs12.integrity import Pkcs12Mac
from services.secrets.certificates.keys.derivation import forms_akin
from services.secrets.certificates.keys.encryption import (
    Budget,
    EncryptionRefused,
    Scheme,
    TooMuchWork,
    WrongPassphrase,
    scheme_of,
)
from services.secrets.certificates.limits import MAX_FILE_NANOSECONDS
from tests.fakes.certificates import tlv
from tests.vectors.certificate_corpus import asn1, pbe

TRIPLE_DES = "pbeWithSHA1And3-KeyTripleDES-CBC"
RC2_40 = "pbeWithSHA1And40BitRC2-CBC"
PLAIN = tlv(0x30, b"\4\3abc")
PBES2, PBKDF2 = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12"
PRICE = 120
"""Nanoseconds that a round of PBKDF2 with SHA-256 counts for."""
SHA_256 = asn1.algorithm("1.2.840.113549.2.9", asn1.NULL)
AES_256 = asn1.algorithm("2.16.840.1.101.3.4.1.42", asn1.octets(bytes(16)))


def scheme(algorithm: bytes, budget: Budget | None = None) -> Scheme:
    return scheme_of(der.element(algorithm), budget or Budget())


def pbkdf2(*parameters: bytes) -> bytes:
    return asn1.algorithm(PBKDF2, asn1.sequence(*parameters))


def pbes2(kdf: bytes, cipher: bytes = AES_256) -> bytes:
    return asn1.algorithm(PBES2, asn1.sequence(kdf, cipher))


@pytest.mark.parametrize("name", [name for name in pbe.PKCS12_SCHEMES if "40BitRC2" not in name])
@pytest.mark.parametrize("words", ["plain", "Grüße", "😀 key", "", None])
def test_the_methods_of_pkcs12_take_any_passphrase(name: str, words: str | None) -> None:
    made = pbe.pkcs12_pbe(words, name, rounds=3)
    found = scheme(made.algorithm)
    passphrase = None if words is None else words.encode()
    assert found.decrypt(made.seal(PLAIN), passphrase) == PLAIN
    assert found.tells_none_from_empty
    assert (found.encryption.name, found.encryption.is_legacy) == (name, True)


def test_no_passphrase_is_not_the_empty_one() -> None:
    made = pbe.pkcs12_pbe(None, TRIPLE_DES, rounds=3)
    with pytest.raises(WrongPassphrase):
        scheme(made.algorithm).decrypt(made.seal(PLAIN), b"")
    empty = pbe.pkcs12_pbe("", TRIPLE_DES, rounds=3)
    with pytest.raises(WrongPassphrase):
        scheme(empty.algorithm).decrypt(empty.seal(PLAIN), None)


def test_a_passphrase_that_old_openssl_widened_byte_by_byte_is_tried_too() -> None:
    widened = "Grüße".encode().decode("latin-1")
    made = pbe.pkcs12_pbe(widened, TRIPLE_DES, rounds=3)
    assert scheme(made.algorithm).decrypt(made.seal(PLAIN), "Grüße".encode()) == PLAIN


@pytest.mark.parametrize("tag_size", [12, 16])
def test_gcm_tells_a_wrong_passphrase_for_sure(tag_size: int) -> None:
    key = pbe.pbes2("word", rounds=3).key
    encryptor = Cipher(AES(key), GCM(bytes(12))).encryptor()
    sealed = encryptor.update(PLAIN) + encryptor.finalize() + encryptor.tag[:tag_size]
    parameters = [asn1.octets(bytes(12))] + [asn1.integer(tag_size)] * (tag_size != 12)
    cipher = asn1.algorithm("2.16.840.1.101.3.4.1.46", asn1.sequence(*parameters))
    sha256 = asn1.algorithm("1.2.840.113549.2.9", asn1.NULL)
    found = scheme(pbes2(pbkdf2(asn1.octets(pbe.SALT), asn1.integer(3), sha256), cipher))
    assert found.decrypt(sealed, b"word") == PLAIN
    with pytest.raises(WrongPassphrase):
        found.decrypt(sealed, b"sword")
    with pytest.raises(ValueError, match="tag"):
        found.decrypt(b"short", b"word")


@pytest.mark.parametrize("size", [0, 1, 15, 17])
def test_a_ciphertext_that_is_not_whole_blocks_is_damaged_and_no_wrong_passphrase(
    size: int,
) -> None:
    with pytest.raises(ValueError, match="blocks"):
        scheme(pbe.pbes2("word", rounds=1).algorithm).decrypt(bytes(size), b"word")


def test_what_decrypts_but_is_no_structure_is_a_wrong_passphrase() -> None:
    made = pbe.pbes2("word", rounds=1)
    for plain in (b"", b"0", b"text", b"\x30\x05abcd", b"\x30\x82\xff\xff", b"\x30\x84"):
        with pytest.raises(WrongPassphrase):
            scheme(made.algorithm).decrypt(made.seal(plain), b"word")
    for plain in (b"\x30\x80\0\0", b"\x30\0", b"\x30\x81\1x"):
        assert scheme(made.algorithm).decrypt(made.seal(plain), b"word") == plain


@pytest.mark.parametrize(
    ("algorithm", "named"),
    [
        (asn1.algorithm("1.2.3.4", asn1.NULL), "1.2.3.4"),
        (asn1.algorithm("1.2.840.113549.1.5.1", asn1.NULL), "pbeWithMD2AndDES-CBC"),
        (pbes2(asn1.algorithm("1.2.3.4", asn1.NULL)), "derivation 1.2.3.4"),
        (pbes2(pbkdf2(asn1.octets(b"s"), asn1.integer(1), asn1.algorithm("1.2.3"))), "1.2.3"),
        (pbes2(pbkdf2(asn1.algorithm("1.2.3"), asn1.integer(1))), "salt"),
        (pbes2(pbkdf2(), asn1.algorithm("1.2.410.200046.1.1.12")), "ARIA-256-CBC"),
        (pbes2(pbkdf2(), asn1.algorithm("1.2.3.4", asn1.NULL)), "cipher 1.2.3.4"),
    ],
)
def test_unknown_methods_are_named(algorithm: bytes, named: str) -> None:
    with pytest.raises(EncryptionRefused, match=named):
        scheme(algorithm)


SALT = asn1.octets(b"salt")


@pytest.mark.parametrize(
    "algorithm",
    [
        asn1.NULL,
        asn1.sequence(),
        asn1.sequence(asn1.integer(1)),
        asn1.algorithm(PBES2),
        asn1.algorithm(PBES2, asn1.NULL),
        pbes2(pbkdf2()),
        pbes2(pbkdf2(SALT)),
        pbes2(pbkdf2(SALT, asn1.integer(0))),
        pbes2(pbkdf2(SALT, asn1.integer(-1))),
        pbes2(pbkdf2(SALT, asn1.integer(1), asn1.integer(16))),
        pbes2(pbkdf2(SALT, asn1.integer(1), asn1.integer(2**70))),
        pbes2(pbkdf2(SALT, asn1.integer(1)), asn1.algorithm("2.16.840.1.101.3.4.1.42", SALT)),
        pbes2(pbkdf2(SALT, asn1.integer(1)), asn1.algorithm("2.16.840.1.101.3.4.1.42")),
        pbes2(pbkdf2(SALT, asn1.integer(1)), asn1.algorithm("1.2.840.113549.3.2", SALT)),
        pbes2(pbkdf2(SALT, asn1.integer(1)), asn1.algorithm("1.2.840.113549.3.2")),
        pbes2(pbkdf2(SALT, asn1.integer(1)), asn1.algorithm("2.16.840.1.101.3.4.1.46")),
        pbes2(pbe.scrypt_algorithm(0, 8, 1)),
        pbes2(pbe.scrypt_algorithm(3, 8, 1)),
        pbes2(pbe.scrypt_algorithm(-2, 8, 1)),
        pbes2(pbe.scrypt_algorithm(2, 0, 1)),
        pbes2(pbe.scrypt_algorithm(2, 8, -1)),
        pbes2(pbe.scrypt_algorithm(2**16, 1, 1)),  # RFC 7914 section 2: below 2**16 for an r of 1
        asn1.algorithm("1.2.840.113549.1.5.3", asn1.sequence(SALT)),
        asn1.algorithm("1.2.840.113549.1.5.3", asn1.sequence(asn1.integer(1), SALT)),
        asn1.algorithm("1.2.840.113549.1.12.1.3", asn1.sequence(SALT, asn1.integer(0))),
        asn1.algorithm("1.2.840.113549.1.12.1.3"),
    ],
)
def test_parameters_that_make_no_sense_are_damage(algorithm: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        scheme(algorithm)


@pytest.mark.parametrize(
    ("algorithm", "limit"),
    [
        (pbe.pbes2("w", rounds=1, claimed=10_000_000).algorithm, "1000000 iterations"),
        (pbe.pkcs12_pbe("w", TRIPLE_DES, rounds=1, claimed=10_000_000).algorithm, "iterations"),
        (pbes2(pbkdf2(SALT, asn1.integer(2**4000))), "iterations"),
        (pbes2(pbe.scrypt_algorithm(2**22, 8, 1)), "256 MiB"),
        (pbes2(pbe.scrypt_algorithm(2, 1, 17)), "16 passes"),
        (pbes2(pbe.scrypt_algorithm(2**18, 8, 3)), "1.5 s of processor time"),
        (pbes2(pbe.scrypt_algorithm(2, 2**16, 16)), "1.5 s of processor time"),
    ],
)
def test_what_costs_too_much_is_refused_before_it_costs_anything(
    algorithm: bytes, limit: str
) -> None:
    begun = time.process_time()
    with pytest.raises(EncryptionRefused, match=limit):
        scheme(algorithm)
    assert time.process_time() - begun < 1


def test_all_parts_of_a_file_are_paid_for_out_of_one_budget() -> None:
    budget = Budget()
    dear = pbe.pbes2("w", rounds=1, claimed=1_000_000).algorithm
    for _ in range(MAX_FILE_NANOSECONDS // (1_000_000 * PRICE)):
        scheme(dear, budget)
    with pytest.raises(EncryptionRefused, match="together"):
        scheme(dear, budget)


JAVA_11 = [(RC2_40, 50_000), *[(TRIPLE_DES, 50_000)] * 20]
"""A keystore with 20 keys, as keytool of 8u161 to 8u291 and of 11 writes it."""


@pytest.mark.parametrize(
    ("parts", "digest", "rounds"),
    [
        (JAVA_11, "sha1", 100_000),
        ([(RC2_40, 600_000), (TRIPLE_DES, 600_000)], "sha1", 600_000),
        ([(RC2_40, 1_000_000), (TRIPLE_DES, 1_000_000)], "sha1", 1_000_000),
        ([(PBES2, 600_000)] * 2, "sha512", 600_000),
        ([(PBES2, 1_000_000)] * 2, "sha256", 1_000_000),
    ],
    ids=["java-11", "legacy-600000", "legacy-1000000", "sha512-600000", "default-1000000"],
)
def test_what_java_and_openssl_write_is_within_the_budget(
    parts: list[tuple[str, int]], digest: str, rounds: int
) -> None:
    """`openssl pkcs12 -export -iter`, with `-legacy` or `-macalg`."""
    budget = Budget()
    Pkcs12Mac(digest, b"salt", rounds, b"").charge(budget)
    for name, count in parts:
        if name == PBES2:
            scheme(pbe.pbes2("w", rounds=1, claimed=count).algorithm, budget)
        else:
            scheme(pbe.pkcs12_pbe("w", name, rounds=1, claimed=count).algorithm, budget)


def test_a_second_trial_is_paid_for_too() -> None:
    made = pbe.pbes2("word", rounds=10)
    found = scheme(made.algorithm, Budget(25 * PRICE))
    sealed = made.seal(PLAIN)
    assert found.decrypt(sealed, b"word") == PLAIN
    assert found.decrypt(sealed, b"word") == PLAIN
    with pytest.raises(TooMuchWork):
        found.decrypt(sealed, b"word")


@pytest.mark.parametrize("octets", ["grün".encode(), "grün".encode("latin-1")])
def test_a_passphrase_from_a_western_terminal_is_tried_after_utf_8(octets: bytes) -> None:
    """openssl encrypts with the octets that the terminal sent."""
    key = PBKDF2HMAC(SHA256(), 32, b"salt", 10).derive(octets)
    sealed = pbe.encrypt("AES-256-CBC", key, bytes(16), PLAIN)
    made = pbes2(pbkdf2(SALT, asn1.integer(10), SHA_256))
    assert scheme(made).decrypt(sealed, "grün".encode()) == PLAIN
    for other in ("grun", "grüne", "зелёный"):
        with pytest.raises(WrongPassphrase):
            scheme(made).decrypt(sealed, other.encode())


def test_a_budget_that_ends_before_all_forms_were_tried_does_not_say_wrong() -> None:
    made = pbe.pkcs12_pbe("5 €".encode("cp1252").decode("latin-1"), TRIPLE_DES, rounds=4)
    price, sealed, word = 4 * 3 * 250, made.seal(PLAIN), "5 €".encode()
    for trials in (1, 2):
        with pytest.raises(TooMuchWork, match="may be a wrong one"):
            scheme(made.algorithm, Budget(trials * price)).decrypt(sealed, word)
        with pytest.raises(WrongPassphrase):  # in ASCII all forms are one
            scheme(made.algorithm, Budget(trials * price)).decrypt(sealed, b"5 E")
    assert scheme(made.algorithm, Budget(3 * price)).decrypt(sealed, word) == PLAIN
    with pytest.raises(WrongPassphrase):
        scheme(made.algorithm, Budget(3 * price)).decrypt(sealed, "6 €".encode())


@pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
def test_the_form_that_made_the_mac_costs_one_trial_elsewhere(charset: str) -> None:
    """Whether the other is PKCS#12's own method or one that takes octets."""
    word = "5 €".encode()
    octets = "5 €".encode(charset)
    widened = b"".join(bytes([0, octet]) for octet in octets) + b"\0\0"
    key = PBKDF2HMAC(SHA256(), 32, b"salt", 10).derive(octets)
    in_octets = scheme(pbes2(pbkdf2(SALT, asn1.integer(10), SHA_256)), Budget(10 * PRICE))
    made = pbe.pkcs12_pbe(octets.decode("latin-1"), TRIPLE_DES, rounds=4)
    in_text = scheme(made.algorithm, Budget(4 * 3 * 250))
    likely = forms_akin(word, widened)
    sealed = pbe.encrypt("AES-256-CBC", key, bytes(16), PLAIN)
    assert in_octets.decrypt(sealed, word, likely) == PLAIN
    assert in_text.decrypt(made.seal(PLAIN), word, likely) == PLAIN


def test_the_euro_of_windows_1252_is_tried_in_the_form_of_pkcs12_too() -> None:
    """OpenSSL widens octets that are no UTF-8 one by one."""
    made = pbe.pkcs12_pbe("5 €".encode("cp1252").decode("latin-1"), TRIPLE_DES, rounds=3)
    assert scheme(made.algorithm).decrypt(made.seal(PLAIN), "5 €".encode()) == PLAIN


def test_a_stream_cipher_tells_a_wrong_passphrase_from_a_damaged_structure() -> None:
    """It has no padding: only that a SEQUENCE fills what was decrypted tells."""
    made = pbe.pkcs12_pbe("right", "pbeWithSHA1And128BitRC4", rounds=1)
    plain = tlv(0x30, bytes(300))
    sealed, found = made.seal(plain), scheme(made.algorithm)
    for number in range(2000):
        with pytest.raises(WrongPassphrase):
            found.decrypt(sealed, f"wrong {number}".encode())
    assert found.decrypt(sealed, b"right") == plain


def test_slower_hashes_weigh_more() -> None:
    fast, slow = pbe.pbes2("w", rounds=100), pbe.pbes2("w", prf="hmacWithSHA512", rounds=100)
    scheme(fast.algorithm, Budget(100 * PRICE))
    with pytest.raises(EncryptionRefused):
        scheme(slow.algorithm, Budget(100 * PRICE))
    two_blocks = pbe.pbes2("w", prf="hmacWithSHA1", rounds=100)  # 20 octets a time for 32
    with pytest.raises(EncryptionRefused):
        scheme(two_blocks.algorithm, Budget(100 * PRICE))
