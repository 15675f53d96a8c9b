"""From a passphrase to a key: PBKDF1, PBKDF2 (RFC 8018), scrypt (RFC 7914), PKCS#12 (RFC 7292 B).

A passphrase is bytes in UTF-8. PKCS#12 wants it in UTF-16 with a zero behind it, which not everybody
did: OpenSSL before 1.1.0 widened the bytes of the terminal one by one.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from services.secrets.certificates.keys.budget import Budget

KEY_MATERIAL: Final = 1
"""RFC 7292 appendix B.3, as are the next two: what `pkcs12_kdf` makes, its `purpose`."""
INITIAL_VALUE: Final = 2
MAC_MATERIAL: Final = 3

_LOOP_PRICE: Final = {"sha1": 250, "sha224": 250, "sha256": 250}
"""Nanoseconds of a round of `_repeated` (see budget.py)."""
_SHA3_LOOP_PRICE: Final = 500
_OTHER_LOOP_PRICE: Final = 350
_SCRYPT_PRICE: Final = 300
"""Nanoseconds for 128 bytes of scrypt's memory, more than most take; touching 256 MiB of it is dear."""
_SCRYPT_FRAME: Final = 8
"""What PBKDF2 around each 128 bytes of scrypt's blocks costs, in such prices."""
_PBKDF1_OCTETS: Final = 16
_WESTERN: Final = "cp1252"


@dataclass(frozen=True, slots=True)
class Prf:
    """HMAC with a hash as the function inside PBKDF2; `price` is that of a round (see budget.py)."""

    algorithm: hashes.HashAlgorithm
    price: int


@dataclass(frozen=True, slots=True)
class Pbkdf2:
    """RFC 8018 section 5.2; `size` is in bytes."""

    salt: bytes = field(repr=False)
    iterations: int
    size: int
    prf: Prf

    def charge(self, budget: Budget) -> None:
        """Pays for one derivation. Raises EncryptionRefused, ValueError."""
        blocks = -(-self.size // self.prf.algorithm.digest_size)
        budget.charge(self.iterations, blocks * self.prf.price)

    def derive(self, passphrase: bytes) -> bytes:
        """`size` bytes."""
        kdf = PBKDF2HMAC(self.prf.algorithm, self.size, self.salt, self.iterations)
        return kdf.derive(passphrase)


@dataclass(frozen=True, slots=True)
class ScryptKdf:
    """RFC 7914; `size` is in bytes. That n is a power of two and the like is for the reader to check."""

    salt: bytes = field(repr=False)
    n: int
    r: int
    p: int
    size: int

    def charge(self, budget: Budget) -> None:
        """Pays for one derivation. Raises EncryptionRefused."""
        budget.spend((self.n + _SCRYPT_FRAME) * self.r * self.p * _SCRYPT_PRICE)

    def derive(self, passphrase: bytes) -> bytes:
        """`size` bytes."""
        return Scrypt(self.salt, self.size, self.n, self.r, self.p).derive(passphrase)


@dataclass(frozen=True, slots=True)
class Pbkdf1:
    """RFC 8018 section 5.1: 8 bytes of key and 8 of initial vector, in one. `digest` as hashlib names it."""

    salt: bytes = field(repr=False)
    iterations: int
    digest: str

    def charge(self, budget: Budget) -> None:
        """Pays for one derivation. Raises EncryptionRefused, ValueError."""
        budget.charge(self.iterations, _loop_price(self.digest))

    def derive(self, passphrase: bytes) -> bytes:
        """16 bytes."""
        return _repeated(self.digest, passphrase + self.salt, self.iterations)[:_PBKDF1_OCTETS]


@dataclass(frozen=True, slots=True)
class Pkcs12Kdf:
    """RFC 7292 appendix B for a cipher: a key of `key_size` bytes and a vector of `vector_size`.

    `digest` as hashlib names it.
    """

    salt: bytes = field(repr=False)
    iterations: int
    digest: str
    key_size: int
    vector_size: int

    def charge(self, budget: Budget) -> None:
        """Pays for one derivation. Raises EncryptionRefused, ValueError."""
        for size in (self.key_size, self.vector_size):
            if size:
                charge_pkcs12(budget, self.iterations, self.digest, size)

    def derive(self, text: bytes) -> bytes:
        """Key and vector, one after the other. `text` is one of `pkcs12_passphrases`."""
        sizes = ((KEY_MATERIAL, self.key_size), (INITIAL_VALUE, self.vector_size))
        return b"".join(
            pkcs12_kdf(
                text,
                self.salt,
                purpose,
                iterations=self.iterations,
                digest=self.digest,
                size=size,
            )
            for purpose, size in sizes
            if size
        )


def openssl_key(passphrase: bytes, salt: bytes, size: int) -> bytes:
    """EVP_BytesToKey of OpenSSL with MD5 and one round: `size` bytes."""
    made = part = b""
    while len(made) < size:
        part = hashlib.md5(part + passphrase + salt, usedforsecurity=False).digest()
        made += part
    return made[:size]


def passphrase_octets(passphrase: bytes | None) -> tuple[bytes, ...]:
    """The octets that PBES2, PBES1 and the like may have taken a passphrase as, the likely ones first.

    RFC 8018 recommends UTF-8 and requires nothing: OpenSSL takes what the terminal sends, which in western
    Europe was Windows-1252, with ISO 8859-1 in it, for decades. None at all is as good as an empty one.
    """
    given = passphrase or b""
    try:
        western = given.decode().encode(_WESTERN)
    except UnicodeError:  # not in that character set, or the octets are no text
        return (given,)
    return (given,) if western == given else (given, western)


def pkcs12_passphrases(passphrase: bytes | None) -> tuple[bytes, ...]:
    """The forms in which a PKCS#12 may have taken a passphrase, the right one first.

    None is no passphrase at all, which is no byte; an empty one is two (RFC 7292 appendix B.1).
    """
    if passphrase is None:
        return (b"",)
    widened = (_widened(octets) for octets in passphrase_octets(passphrase))
    return tuple(dict.fromkeys((_utf16(passphrase), *widened)))


def forms_akin(passphrase: bytes | None, form: bytes) -> tuple[bytes, ...]:
    """The likely forms of a passphrase elsewhere in a file where it was taken in `form`, that one first.

    `form` is one of `pkcs12_passphrases` or of `passphrase_octets`, and so is each of these.
    """
    akin = [form]
    for octets in passphrase_octets(passphrase):
        family = [octets, _widened(octets)]
        if octets == passphrase:
            family.append(_utf16(passphrase))
        if form in family:
            akin += family
    return tuple(dict.fromkeys(akin))


def _utf16(passphrase: bytes) -> bytes:
    return passphrase.decode().encode("utf-16-be") + b"\0\0"


def _widened(octets: bytes) -> bytes:
    return b"".join(bytes((0, octet)) for octet in octets) + b"\0\0"


def charge_pkcs12(budget: Budget, iterations: int, digest: str, size: int) -> None:
    """Pays for one `pkcs12_kdf`. Raises EncryptionRefused, ValueError."""
    blocks = -(-size // hashlib.new(digest, usedforsecurity=False).digest_size)
    budget.charge(iterations, blocks * _loop_price(digest))


def pkcs12_kdf(
    text: bytes, salt: bytes, purpose: int, *, iterations: int, digest: str, size: int
) -> bytes:
    """RFC 7292 appendix B.2: `size` bytes from one of `pkcs12_passphrases`.

    `purpose` is KEY_MATERIAL, INITIAL_VALUE or MAC_MATERIAL. The work must have been paid for before:
    nothing here limits it.
    """
    block = hashlib.new(digest, usedforsecurity=False).block_size
    stretched = _stretched(salt, block) + _stretched(text, block)
    made = b""
    while True:
        made += (part := _repeated(digest, bytes([purpose]) * block + stretched, iterations))
        if len(made) >= size:
            return made[:size]
        stretched = _added(stretched, _stretched(part, block)[:block])


def _stretched(data: bytes, block: int) -> bytes:
    """Repeated up to a multiple of the block; nothing stays nothing."""
    size = -(-len(data) // block) * block
    return (data * (size // len(data) + 1))[:size] if data else b""


def _added(data: bytes, part: bytes) -> bytes:
    """Step 6 C: each block of `data` plus `part` plus one, modulo the block."""
    block = len(part)
    more, modulus = int.from_bytes(part, "big") + 1, 1 << 8 * block
    return b"".join(
        ((int.from_bytes(data[at : at + block], "big") + more) % modulus).to_bytes(block, "big")
        for at in range(0, len(data), block)
    )


def _loop_price(digest: str) -> int:
    if digest.startswith("sha3_"):
        return _SHA3_LOOP_PRICE
    return _LOOP_PRICE.get(digest, _OTHER_LOOP_PRICE)


def _repeated(digest: str, data: bytes, iterations: int) -> bytes:
    unused = hashlib.new(digest, usedforsecurity=False)
    value = data
    for _ in range(iterations):
        copied = unused.copy()  # takes less time than anything that looks the hash up by its name
        copied.update(value)
        value = copied.digest()
    return value
