"""PKCS#12 and PKCS#7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.certificates import pem_block, tlv
from tests.fuzz.case import Case
from tests.fuzz.hostile.building import (
    AES,
    DEAR_ROUNDS,
    MOST,
    OPAQUE,
    PBES2,
    b64,
    deep,
    deep_ber,
    integer,
    oid,
    pbe,
    pbkdf2,
    sequence,
)
from tests.fuzz.hostile.certificates import certificate, look_alikes

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATA: Final = oid("2a864886f70d010701")
_BAG: Final = "2a864886f70d010c0a01"


def cases() -> list[tuple[str, Case]]:
    """PKCS#12 and PKCS#7."""
    return [
        *((f"pfx: {what}", Case("pfx", b64(der), None, "x")) for what, der in _pfxs()),
        *((f"pkcs7: {what}", Case("pkcs7", b64(der))) for what, der in _pkcs7s()),
        ("pkcs7: deep in PEM", Case("p7b", pem_block("PKCS7", pkcs7(deep())))),
    ]


def pfx(contents: bytes, mac: bytes = b"") -> bytes:
    """RFC 7292 around an AuthenticatedSafe's members."""
    safe = sequence(_DATA, tlv(0xA0, tlv(4, sequence(contents))))
    return sequence(integer(3), safe, mac)


def _mac(rounds: int) -> bytes:
    digest = sequence(sequence(oid("608648016503040201"), b"\x05\0"), tlv(4, b"\1" * 32))
    return sequence(digest, tlv(4, b"saltsalt"), integer(rounds))


def plain(bags: bytes) -> bytes:
    """A part that lies open, with these SafeBags in it."""
    return sequence(_DATA, tlv(0xA0, tlv(4, sequence(bags))))


def locked(algorithm: bytes, sealed: bytes) -> bytes:
    """A part that is encrypted."""
    info = sequence(_DATA, algorithm, tlv(0x80, sealed))
    return sequence(oid("2a864886f70d010706"), tlv(0xA0, sequence(integer(0), info)))


def _pbes2(rounds: int) -> bytes:
    return sequence(PBES2, sequence(pbkdf2(rounds), AES))


def bag(kind: str, value: bytes) -> bytes:
    """SafeBag; `kind` is the end of its type's number."""
    return sequence(oid(_BAG + kind), tlv(0xA0, value))


def _pfxs() -> Iterator[tuple[str, bytes]]:
    yield "ten million rounds for the MAC", pfx(plain(b""), _mac(DEAR_ROUNDS))
    yield "ten million rounds for the contents", pfx(locked(_pbes2(DEAR_ROUNDS), OPAQUE), _mac(1))
    shrouded = bag("02", sequence(_pbes2(DEAR_ROUNDS), tlv(4, OPAQUE)))
    yield "ten million rounds for the key", pfx(plain(shrouded))
    dear = sequence(_pbes2(1_000_000), tlv(4, OPAQUE))
    yield "fifty keys with a million rounds each", pfx(plain(bag("02", dear) * 50))
    yield "fifty safes with a million rounds each", pfx(locked(_pbes2(1_000_000), OPAQUE) * 50)
    slow = pbe("2a864886f70d010c0106", 1)
    yield "400 KiB under RC2", pfx(locked(slow, b"\x5a" * 400_000))
    small = locked(pbe("2a864886f70d010c0106", 1000), b"\x5a" * 8)
    yield "thousands of small safes under RC2", pfx(small * (MOST // len(small) - 2))
    yield "thousands of bags", pfx(plain(bag("04", b"\x05\0") * 20_000))
    nested = bag("03", b"\x05\0")
    for _ in range(200):
        nested = bag("06", sequence(nested))
    yield "bags in bags", pfx(plain(nested))
    yield "a version of 5,000 digits", sequence(integer(1 << 16_700), sequence(_DATA))
    yield "deep", pfx(deep())
    yield "deep in BER", pfx(deep_ber())
    yield (
        "strings in pieces of one byte",
        b"".join(
            (
                b"\x30\x80",
                integer(3),
                b"\x30\x80",
                _DATA,
                b"\xa0\x80\x24\x80",
                b"\x04\x01\x30" * 150_000,
            )
        )
        + b"\0\0" * 5,
    )
    friendly = sequence(oid("2a864886f70d010914"), tlv(0x31, tlv(0x1E, b"\0a" * (MOST // 3))))
    x509 = sequence(oid("2a864886f70d01091601"), tlv(0xA0, tlv(4, certificate())))
    named = sequence(oid(_BAG + "03"), tlv(0xA0, x509), tlv(0x31, friendly))
    yield "a friendly name of 300 KiB", pfx(plain(named))
    yield "a thousand certificates", pfx(plain(bag("03", x509) * 1000))


def pkcs7(certificates: bytes) -> bytes:
    """RFC 5652 SignedData without a signature."""
    signed = sequence(
        integer(1), tlv(0x31, b""), sequence(_DATA), tlv(0xA0, certificates), tlv(0x31, b"")
    )
    return sequence(oid("2a864886f70d010702"), tlv(0xA0, signed))


def _pkcs7s() -> Iterator[tuple[str, bytes]]:
    one = certificate()
    yield "as many certificates as there is room for", pkcs7(one * (MOST // len(one) - 2))
    yield "look-alikes", pkcs7(look_alikes(ec.BrainpoolP512R1(), 100))
    yield "deep", pkcs7(deep())
    yield (
        "deep in BER",
        b"\x30\x80" + oid("2a864886f70d010702") + b"\xa0\x80" + deep_ber() + b"\0" * 4,
    )
    yield "200,000 empty values", pkcs7(b"\x05\0" * 200_000)
