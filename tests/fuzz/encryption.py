"""Parameters of encryptions, each of them possible by itself, put together at random.

No passphrase opens any of it: what is looked for is what a reader makes of the parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.fakes.certificates import pem_block, tlv
from tests.fuzz.case import Case
from tests.fuzz.hostile import containers
from tests.fuzz.hostile.building import HONEST, PBES2, PBKDF2, b64, integer, oid, sequence

if TYPE_CHECKING:
    from random import Random

_NUMBERS: Final = (0, 1, 2, 7, 8, 16, 20, 24, 32, 64, 1000, 4096, 65536, 2**24, 2**31, 2**32, 2**64)
_ROUNDS: Final = (1, 1, 2, 100, 1000)
_SIZES: Final = (0, 1, 8, 8, 12, 16, 16, 17, 24, 32, 33, 64, 1000)
_PRFS: Final = (
    "2a864886f70d0207",
    "2a864886f70d0209",
    "2a864886f70d020b",
    "2a864886f70d020d",
    "2a0304",
)
_CIPHERS: Final = (
    "60864801650304012a", "608648016503040102", "608648016503040106", "60864801650304012e",
    "2a864886f70d0307", "2b0e030207", "2a0304",
)  # fmt: skip
_RC2: Final = "2a864886f70d0302"
_OLD: Final = (
    "2a864886f70d010503", "2a864886f70d010506", "2a864886f70d01050a", "2a864886f70d01050b",
    "2a864886f70d010c0101", "2a864886f70d010c0102", "2a864886f70d010c0103", "2a864886f70d010c0104",
    "2a864886f70d010c0105", "2a864886f70d010c0106",
)  # fmt: skip
_DIGESTS: Final = (
    "2b0e03021a",
    "608648016503040201",
    "608648016503040203",
    "608648016503040207",
    "2a0304",
)
_PBMAC1: Final = "2a864886f70d01050e"
_SCRYPT: Final = "2b06010401da47040b"


def case(random: Random, passphrase: str | None) -> Case:
    """A key beside a certificate, or a PKCS#12 with a locked key and a locked safe, with or without a MAC."""
    if random.random() < 0.3:
        key = sequence(_scheme(random), _octets(random))
        return Case("pem", HONEST.pem, pem_block("ENCRYPTED PRIVATE KEY", key), passphrase)
    bag = containers.bag("02", sequence(_scheme(random), _octets(random)))
    safe = containers.locked(_scheme(random), b"\x5a" * random.choice(_SIZES))
    parts = random.choice((b"", safe, containers.plain(bag), safe + containers.plain(bag)))
    mac = _mac(random) if random.random() < 0.7 else b""
    return Case("pfx", b64(containers.pfx(parts, mac)), None, passphrase)


def _octets(random: Random) -> bytes:
    return tlv(4, b"\x5a" * random.choice(_SIZES))


def _number(random: Random) -> bytes:
    number = random.choice(_NUMBERS)
    return tlv(2, b"\xff" + b"\0" * 8) if random.random() < 0.05 else integer(number)


def _rounds(random: Random) -> bytes:
    return integer(random.choice(_ROUNDS)) if random.random() < 0.9 else _number(random)


def _maybe(random: Random, *members: bytes) -> bytes:
    return b"".join(member for member in members if random.random() < 0.6)


def _prf(random: Random) -> bytes:
    return sequence(oid(random.choice(_PRFS)), _maybe(random, b"\x05\0"))


def _derivation(random: Random) -> bytes:
    if random.random() < 0.6:
        more = _maybe(random, _number(random), _prf(random))
        return sequence(PBKDF2, sequence(_octets(random), _rounds(random), more))
    n = integer(2 ** random.randrange(18)) if random.random() < 0.8 else _number(random)
    r, p = (integer(random.choice((1, 1, 2, 8))) for _ in range(2))
    more = _maybe(random, _number(random))
    return sequence(oid(_SCRYPT), sequence(_octets(random), n, r, p, more))


def _cipher(random: Random) -> bytes:
    if random.random() < 0.1:
        return sequence(oid(_RC2), sequence(_maybe(random, _number(random)), _octets(random)))
    vector = _octets(random)
    if random.random() < 0.2:
        vector = sequence(vector, _maybe(random, _number(random)))
    return sequence(oid(random.choice(_CIPHERS)), vector)


def _scheme(random: Random) -> bytes:
    if random.random() < 0.7:
        return sequence(PBES2, sequence(_derivation(random), _cipher(random)))
    return sequence(oid(random.choice(_OLD)), sequence(_octets(random), _rounds(random)))


def _mac(random: Random) -> bytes:
    algorithm = sequence(oid(random.choice(_DIGESTS)), b"\x05\0")
    if random.random() < 0.5:
        algorithm = sequence(oid(_PBMAC1), sequence(_derivation(random), _prf(random)))
    info = sequence(algorithm, _octets(random))
    return sequence(info, _octets(random), _maybe(random, _rounds(random)))
