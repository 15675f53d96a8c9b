"""How a private key is encrypted, read before anything is decrypted.

A few bytes can ask for hours of key derivation, and deriving holds the interpreter lock, so the
price is read first (PKCS#8 EncryptedPrivateKeyInfo, RFC 5958; PBES1 and PBES2, RFC 8018; scrypt,
RFC 7914; the traditional form of OpenSSL's PEM_read_bio_PrivateKey).
"""

from dataclasses import dataclass
from typing import Final

from services.secrets.certificates.encodings import der
from services.secrets.certificates.encodings.armor import PemBlock
from services.secrets.certificates.limits import (
    MAX_KDF_ITERATIONS,
    MAX_SCRYPT_BYTES,
    MAX_SCRYPT_PARALLEL,
)

_PBES2: Final = "1.2.840.113549.1.5.13"
_PBKDF2: Final = "1.2.840.113549.1.5.12"
_SCRYPT: Final = "1.3.6.1.4.1.11591.4.11"

_PBES1: Final = {
    "1.2.840.113549.1.5.1": "pbeWithMD2AndDES-CBC",
    "1.2.840.113549.1.5.3": "pbeWithMD5AndDES-CBC",
    "1.2.840.113549.1.5.4": "pbeWithMD2AndRC2-CBC",
    "1.2.840.113549.1.5.6": "pbeWithMD5AndRC2-CBC",
    "1.2.840.113549.1.5.10": "pbeWithSHA1AndDES-CBC",
    "1.2.840.113549.1.5.11": "pbeWithSHA1AndRC2-CBC",
    "1.2.840.113549.1.12.1.1": "pbeWithSHA1And128BitRC4",
    "1.2.840.113549.1.12.1.2": "pbeWithSHA1And40BitRC4",
    "1.2.840.113549.1.12.1.3": "pbeWithSHA1And3-KeyTripleDES-CBC",
    "1.2.840.113549.1.12.1.4": "pbeWithSHA1And2-KeyTripleDES-CBC",
    "1.2.840.113549.1.12.1.5": "pbeWithSHA1And128BitRC2-CBC",
    "1.2.840.113549.1.12.1.6": "pbeWithSHA1And40BitRC2-CBC",
}
_CIPHERS: Final = {
    "1.3.14.3.2.7": "DES-CBC",
    "1.2.840.113549.3.7": "DES-EDE3-CBC",
    "1.2.840.113549.3.2": "RC2-CBC",
    "2.16.840.1.101.3.4.1.2": "AES-128-CBC",
    "2.16.840.1.101.3.4.1.22": "AES-192-CBC",
    "2.16.840.1.101.3.4.1.42": "AES-256-CBC",
}
_OLD_CIPHERS: Final = frozenset({"DES-CBC", "DES-EDE3-CBC", "RC2-CBC"})
_TRADITIONAL_CIPHERS: Final = frozenset(
    {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-CBC", "DES-EDE3-CBC", "RC2-CBC"}
)


@dataclass(frozen=True, slots=True)
class KeyEncryption:
    """Name of the method, and whether it is one that no new key should be protected with."""

    name: str
    is_legacy: bool


class EncryptionRefused(Exception):  # noqa: N818 - a refusal
    """It will not be opened: a method nobody here knows, or a price beyond the limits."""


def encryption_of(block: PemBlock) -> KeyEncryption | None:
    """How the key in a PEM block is encrypted; None for a plain one.

    Raises EncryptionRefused, ValueError for a structure that is none, PemFault for bad base64.
    """
    if block.label == "ENCRYPTED PRIVATE KEY":
        return _pkcs8(block.decoded())
    if "ENCRYPTED" in (block.header("Proc-Type") or "").upper():
        return _traditional(block.header("DEK-Info") or "")
    return None


def _traditional(dek_info: str) -> KeyEncryption:
    """Always legacy: whatever the cipher, its key is one round of MD5 over the passphrase."""
    cipher = dek_info.partition(",")[0].strip().upper()
    if cipher not in _TRADITIONAL_CIPHERS:
        raise EncryptionRefused("its DEK-Info header names a cipher that is not supported")
    return KeyEncryption(f"{cipher} with a key from one round of MD5", is_legacy=True)


def _pkcs8(data: bytes) -> KeyEncryption:
    """EncryptedPrivateKeyInfo ::= SEQUENCE { AlgorithmIdentifier, OCTET STRING }."""
    members = der.sequence(data)
    algorithm, parameters = _algorithm(members[0] if members else None)
    if algorithm in _PBES1:
        _refuse_iterations(parameters.children()[1:2])
        return KeyEncryption(_PBES1[algorithm], is_legacy=True)
    if algorithm != _PBES2:
        raise EncryptionRefused(f"its encryption method {algorithm} is not supported")
    kdf, cipher = (_algorithm(element) for element in _pair(parameters))
    _refuse_price(*kdf)
    name = _CIPHERS.get(cipher[0], cipher[0])
    return KeyEncryption(name, is_legacy=name in _OLD_CIPHERS)


def _pair(element: der.Element) -> tuple[der.Element, der.Element]:
    first, second = element.children()
    return first, second


def _algorithm(element: der.Element | None) -> tuple[str, der.Element]:
    """AlgorithmIdentifier ::= SEQUENCE { OBJECT IDENTIFIER, parameters ANY OPTIONAL }."""
    if element is None or element.tag != der.SEQUENCE:
        raise ValueError("no AlgorithmIdentifier")
    members = element.children()
    if not members:
        raise ValueError("an empty AlgorithmIdentifier")
    nothing = der.Element(der.SEQUENCE, b"")
    return members[0].oid(), members[1] if len(members) > 1 else nothing


def _refuse_price(kdf: str, parameters: der.Element) -> None:
    if kdf == _PBKDF2:  # { salt, iterationCount, keyLength OPTIONAL, prf DEFAULT hmacWithSHA1 }
        _refuse_iterations(parameters.children()[1:2])
    elif kdf == _SCRYPT:  # { salt, N, r, p, keyLength OPTIONAL }
        _refuse_scrypt([element.integer() for element in parameters.children()[1:4]])
    else:
        raise EncryptionRefused(f"its key derivation {kdf} is not supported")


def _refuse_iterations(count: list[der.Element]) -> None:
    if not count:
        raise ValueError("no iteration count")
    if count[0].integer() > MAX_KDF_ITERATIONS:
        raise EncryptionRefused(
            f"its key derivation asks for more than {MAX_KDF_ITERATIONS} iterations"
        )


def _refuse_scrypt(parameters: list[int]) -> None:
    n, r, p = parameters
    if 128 * n * r > MAX_SCRYPT_BYTES or p > MAX_SCRYPT_PARALLEL:
        raise EncryptionRefused(
            f"its scrypt parameters ask for more than {MAX_SCRYPT_BYTES // 2**20} MiB of memory "
            f"or more than {MAX_SCRYPT_PARALLEL} passes"
        )
