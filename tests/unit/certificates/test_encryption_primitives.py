"""Our own cipher and key derivations against the vectors of their standards, and against the library."""

import hashlib
import random

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC

from services.secrets.certificates.keys.derivation import (
    INITIAL_VALUE,
    KEY_MATERIAL,
    MAC_MATERIAL,
    Pbkdf1,
    Pbkdf2,
    Prf,
    ScryptKdf,
    openssl_key,
    pkcs12_kdf,
    pkcs12_passphrases,
)
from services.secrets.certificates.keys.rc2 import decrypt_cbc
from tests.vectors.certificate_corpus import pbe

# RFC 2268 section 5: key, effective bits, plaintext, ciphertext
RC2_VECTORS = [
    ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
    ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
    ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
    ("88", 64, "0000000000000000", "61a8a244adacccf0"),
    ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
    ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
    ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
    (
        "88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e",
        129,
        "0000000000000000",
        "5b78d3a43dfff1f1",
    ),
]


@pytest.mark.parametrize(("key", "bits", "plain", "sealed"), RC2_VECTORS)
def test_rc2_gives_what_its_standard_says(key: str, bits: int, plain: str, sealed: str) -> None:
    opened = decrypt_cbc(bytes.fromhex(key), bits, bytes(8), bytes.fromhex(sealed))
    assert opened.hex() == plain


@pytest.mark.parametrize("blocks", [1, 2, 3, 255, 4096])
def test_rc2_of_many_blocks_is_the_library_s(blocks: int) -> None:
    drawn = random.Random(blocks)
    key, vector, data = drawn.randbytes(16), drawn.randbytes(8), drawn.randbytes(8 * blocks)
    assert decrypt_cbc(key, 128, vector, data) == _library(key, vector, data)


@pytest.mark.parametrize("extreme", [b"\0", b"\xff", b"\x80\0", b"\0\x80"])
def test_rc2_carries_do_not_run_into_the_next_block(extreme: bytes) -> None:
    data = extreme * (64 // len(extreme))
    key, vector = extreme * (16 // len(extreme)), bytes(8)
    assert decrypt_cbc(key, 128, vector, data) == _library(key, vector, data)


def _library(key: bytes, vector: bytes, data: bytes) -> bytes:
    decryptor = Cipher(RC2(key), CBC(vector)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


@pytest.mark.parametrize(
    ("key", "bits", "vector", "data"),
    [
        (b"", 64, bytes(8), bytes(8)),
        (bytes(129), 64, bytes(8), bytes(8)),
        (bytes(8), 0, bytes(8), bytes(8)),
        (bytes(8), 1025, bytes(8), bytes(8)),
        (bytes(8), 64, bytes(7), bytes(8)),
        (bytes(8), 64, bytes(8), bytes(9)),
        (bytes(8), 64, bytes(8), b""),
    ],
)
def test_rc2_refuses_sizes_that_it_does_not_have(
    key: bytes, bits: int, vector: bytes, data: bytes
) -> None:
    with pytest.raises(ValueError, match=r"."):
        decrypt_cbc(key, bits, vector, data)


# of the PKCS#12 test files that S. Henson published with OpenSSL, SHA-1 all of them
PKCS12_VECTORS = [
    ("smeg", "0a58cf64530d823f", KEY_MATERIAL, 1, "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"),
    ("smeg", "0a58cf64530d823f", INITIAL_VALUE, 1, "79993dfe048d3b76"),
    ("smeg", "3d83c0e4546ac140", MAC_MATERIAL, 1, "8d967d88f6caa9d714800ab3d48051d63f73a312"),
    ("queeg", "05dec959acff72f7", KEY_MATERIAL, 1000, "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"),
    ("queeg", "05dec959acff72f7", INITIAL_VALUE, 1000, "11dedad7758d4860"),
    ("queeg", "263216fcc2fab31c", MAC_MATERIAL, 1000, "5ec4c7a80df652294c3925b6489a7ab857c83476"),
]  # fmt: skip


@pytest.mark.parametrize(("passphrase", "salt", "purpose", "rounds", "expected"), PKCS12_VECTORS)
def test_the_pkcs12_derivation_gives_the_published_keys(
    passphrase: str, salt: str, purpose: int, rounds: int, expected: str
) -> None:
    (form,) = pkcs12_passphrases(passphrase.encode())
    size = len(expected) // 2
    made = pkcs12_kdf(
        form, bytes.fromhex(salt), purpose, iterations=rounds, digest="sha1", size=size
    )
    assert made.hex() == expected


@pytest.mark.parametrize("digest", ["md5", "sha224", "sha256", "sha512", "sha512_256", "sha3_256"])
@pytest.mark.parametrize("size", [1, 20, 65, 200])
def test_the_pkcs12_derivation_works_with_every_hash_and_length(digest: str, size: int) -> None:
    text = "a passphrase longer than a block".encode("utf-16-be") * 3
    made = pkcs12_kdf(text, b"salt", MAC_MATERIAL, iterations=3, digest=digest, size=size)
    assert made == pbe.pkcs12_kdf(digest, text, b"salt", 3, MAC_MATERIAL, size)


def test_a_passphrase_is_utf_16_and_its_bytes_widened_as_old_openssl_did() -> None:
    assert pkcs12_passphrases(None) == (b"",)
    assert pkcs12_passphrases(b"") == (b"\0\0",)
    assert pkcs12_passphrases(b"ab") == (b"\0a\0b\0\0",)
    assert pkcs12_passphrases("ß".encode()) == (b"\0\xdf\0\0", b"\0\xc3\0\x9f\0\0")
    assert pkcs12_passphrases("😀".encode())[0] == b"\xd8\x3d\xde\x00\0\0"


# RFC 6070
PBKDF2_VECTORS = [
    ("password", "salt", 1, 20, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
    ("password", "salt", 4096, 20, "4b007901b765489abead49d926f721d065a429c1"),
    (
        "passwordPASSWORDpassword",
        "saltSALTsaltSALTsaltSALTsaltSALTsalt",
        4096,
        25,
        "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
    ),
    ("pass\0word", "sa\0lt", 4096, 16, "56fa6aa75548099dcc37d7f03425e0c3"),
]


@pytest.mark.parametrize(("passphrase", "salt", "rounds", "size", "expected"), PBKDF2_VECTORS)
def test_pbkdf2_gives_the_published_keys(
    passphrase: str, salt: str, rounds: int, size: int, expected: str
) -> None:
    kdf = Pbkdf2(salt.encode(), rounds, size, Prf(hashes.SHA1(), 1))
    assert kdf.derive(passphrase.encode()).hex() == expected


def test_scrypt_gives_the_published_key() -> None:
    kdf = ScryptKdf(b"NaCl", 1024, 8, 16, 64)  # RFC 7914 section 12
    assert kdf.derive(b"password").hex().startswith("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cb")


def test_pbkdf1_is_one_hash_after_the_other() -> None:
    once = hashlib.sha1(b"wordsalt").digest()
    assert Pbkdf1(b"salt", 1, "sha1").derive(b"word") == once[:16]
    twice = hashlib.md5(hashlib.md5(b"wordsalt").digest()).digest()
    assert Pbkdf1(b"salt", 2, "md5").derive(b"word") == twice


def test_the_key_of_a_traditional_pem_is_a_chain_of_md5() -> None:
    first = hashlib.md5(b"wordsaltsalt").digest()
    second = hashlib.md5(first + b"wordsaltsalt").digest()
    assert openssl_key(b"word", b"saltsalt", 24) == (first + second)[:24]
