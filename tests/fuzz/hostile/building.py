"""DER that asks for a great deal of work, memory or depth, and what it is made of.

In this folder each case does so in one way; its name says what an unguarded reader would do over it. They
are made when asked for, with next to no key generation, and stay within the limits of size, so that nothing
but the reading itself can refuse them.
"""

from __future__ import annotations

import base64
from typing import Final

from tests.fakes.certificates import encrypted_info, issue, tlv

HONEST: Final = issue()
"""That there is nothing wrong with."""
MOST: Final = 500 * 1024
"""Bytes, decoded: a little less than what is accepted."""
DEEP: Final = 10_000
DEAR_ROUNDS: Final = 10_000_000
OPAQUE: Final = b"\x5a" * 64
"""In the place of a ciphertext or a signature."""


def sequence(*members: bytes) -> bytes:
    """SEQUENCE."""
    return tlv(0x30, b"".join(members))


def integer(number: int) -> bytes:
    """INTEGER."""
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(encoded: str) -> bytes:
    """OBJECT IDENTIFIER, from the hexadecimal of its contents."""
    return tlv(6, bytes.fromhex(encoded))


def b64(data: bytes) -> str:
    """Base64 in one line."""
    return base64.b64encode(data).decode()


def deep(levels: int = DEEP, tag: int = 0x30) -> bytes:
    """Definite lengths, so that each level needs to be entered."""
    value = b"\x05\0"
    for _ in range(levels):
        length = len(value)
        octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
        head = bytes([length]) if length < 128 else bytes([0x80 | len(octets)]) + octets
        value = bytes([tag]) + head + value
    return value


def deep_ber(levels: int = DEEP, tag: int = 0x30) -> bytes:
    """Indefinite lengths."""
    return bytes([tag, 0x80]) * levels + b"\0\0" * levels


PBES2: Final = oid("2a864886f70d01050d")
PBKDF2: Final = oid("2a864886f70d01050c")
AES: Final = sequence(oid("60864801650304012a"), tlv(4, b"\1" * 16))
_SHA256: Final = sequence(oid("2a864886f70d0209"), b"\x05\0")


def pbkdf2(rounds: int, salt: bytes = b"saltsalt") -> bytes:
    """AlgorithmIdentifier of RFC 8018."""
    return sequence(PBKDF2, sequence(tlv(4, salt), integer(rounds), _SHA256))


def scrypt(n: int, r: int, p: int) -> bytes:
    """AlgorithmIdentifier of RFC 7914."""
    parameters = sequence(tlv(4, b"saltsalt"), integer(n), integer(r), integer(p))
    return sequence(oid("2b06010401da47040b"), parameters)


def pbe(kind: str, rounds: int) -> bytes:
    """AlgorithmIdentifier of RFC 7292 appendix C, or of PBES1; `kind` is the OID."""
    return sequence(oid(kind), sequence(tlv(4, b"saltsalt"), integer(rounds)))


def locked_key(kdf: bytes, sealed: bytes = OPAQUE) -> str:
    """A PKCS#8 key that nobody opens."""
    return encrypted_info(kdf, AES, sealed)


def explicit_curve(prime: int) -> bytes:
    """SpecifiedECDomain (SEC 1 appendix C.2) over any number."""
    field = sequence(oid("2a8648ce3d0101"), integer(prime))
    curve = sequence(tlv(4, b"\1"), tlv(4, b"\2"))
    return sequence(
        integer(1), field, curve, tlv(4, b"\4" + b"\1" * 64), integer(prime), integer(1)
    )
