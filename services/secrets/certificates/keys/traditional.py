"""OpenSSL's own encryption of PEM keys: Proc-Type and DEK-Info headers (RFC 1421's form).

The key is MD5 over passphrase and salt, once (EVP_BytesToKey), so whatever the cipher this is legacy.
"""

import contextlib
from typing import Final

from services.secrets.certificates.encodings.armor import PemBlock
from services.secrets.certificates.keys import ciphers
from services.secrets.certificates.keys.budget import EncryptionRefused
from services.secrets.certificates.keys.ciphers import CipherKind, WrongPassphrase
from services.secrets.certificates.keys.derivation import openssl_key, passphrase_octets
from services.secrets.certificates.keys.encryption import KeyEncryption, may_be_a_structure

_CIPHERS: Final = {
    cipher.name: cipher
    for cipher in (
        ciphers.AES_128_CBC,
        ciphers.AES_192_CBC,
        ciphers.AES_256_CBC,
        ciphers.CAMELLIA_128_CBC,
        ciphers.CAMELLIA_192_CBC,
        ciphers.CAMELLIA_256_CBC,
        ciphers.SEED_CBC,
        ciphers.DES_CBC,
        ciphers.DES_EDE3_CBC,
        ciphers.RC2_128_CBC,
    )
}
_NOT_SUPPORTED: Final = frozenset(
    {"IDEA-CBC", "BF-CBC", "CAST5-CBC", "DES-EDE-CBC", "RC5-CBC", "SM4-CBC"}
    | {f"ARIA-{bits}-CBC" for bits in (128, 192, 256)}
)
"""Others that OpenSSL can write. Only these are quoted, as the header is the sender's text."""
_SALT_OCTETS: Final = 8


class NoCipherNamed(ValueError):  # noqa: N818 - a refusal
    """The DEK-Info header, which Proc-Type promises, is not there."""


def is_encrypted(block: PemBlock) -> bool:
    """Whether the headers say that the block is encrypted in this way."""
    return "ENCRYPTED" in (block.header("Proc-Type") or "").upper()


def encryption_of(block: PemBlock) -> KeyEncryption:
    """The method. Raises EncryptionRefused for one that nobody here knows, NoCipherNamed."""
    name = _cipher(block)[0].name
    return KeyEncryption(f"{name} with a key from one round of MD5", is_legacy=True)


def decrypt(block: PemBlock, passphrase: bytes) -> bytes:
    """The DER of the key. Raises WrongPassphrase, EncryptionRefused, NoCipherNamed, PemFault,
    PartialCiphertext, and ValueError when the vector cannot be the cipher's."""
    cipher, vector = _cipher(block)
    salt = bytes.fromhex(vector)
    if len(salt) != cipher.vector_size:
        raise ValueError("an initial vector that is not one block")
    data = block.decoded()
    for octets in passphrase_octets(passphrase):
        key = openssl_key(octets, salt[:_SALT_OCTETS], cipher.key_size)
        with contextlib.suppress(WrongPassphrase):
            if may_be_a_structure(plain := cipher.decrypt(key, salt, data)):
                return plain
    raise WrongPassphrase


def _cipher(block: PemBlock) -> tuple[CipherKind, str]:
    info = block.header("DEK-Info")
    if info is None:
        raise NoCipherNamed
    name, _, vector = info.partition(",")
    cipher = _CIPHERS.get(name.strip().upper())
    if cipher is None:
        known = name.strip().upper() in _NOT_SUPPORTED
        which = f"the cipher {name.strip().upper()}" if known else "a cipher"
        raise EncryptionRefused(f"its DEK-Info header names {which} that is not supported")
    return cipher, vector.strip()
