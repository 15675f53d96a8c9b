"""Private keys, beside an honest certificate and alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.certificates import pem_block, tlv
from tests.fuzz.case import Case
from tests.fuzz.hostile.building import (
    DEAR_ROUNDS,
    HONEST,
    OPAQUE,
    deep,
    deep_ber,
    explicit_curve,
    integer,
    locked_key,
    oid,
    pbe,
    pbkdf2,
    scrypt,
    sequence,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def cases() -> list[tuple[str, Case]]:
    """In private_key beside an honest certificate, and alone."""
    found: list[tuple[str, Case]] = []
    for what, key in _keys():
        found += [
            (f"key beside: {what}", Case("pem", HONEST.pem, key, "x")),
            (f"key alone: {what}", Case("key", key, None, "x")),
        ]
    return found


def _keys() -> Iterator[tuple[str, str]]:
    yield "ten million rounds of PBKDF2", locked_key(pbkdf2(DEAR_ROUNDS))
    yield "2^62 rounds", locked_key(pbkdf2(2**62))
    yield "rounds of 10,000 digits", locked_key(pbkdf2(1 << 33_000))
    yield "a salt of 40 KiB", locked_key(pbkdf2(1000, b"s" * 40_000))
    old = sequence(pbe("2a864886f70d010503", DEAR_ROUNDS), tlv(4, OPAQUE))
    yield "ten million rounds of PBES1", pem_block("ENCRYPTED PRIVATE KEY", old)
    old = sequence(pbe("2a864886f70d010c0106", DEAR_ROUNDS), tlv(4, OPAQUE))
    yield "ten million rounds of PKCS#12 PBE", pem_block("ENCRYPTED PRIVATE KEY", old)
    old = sequence(pbe("2a864886f70d010c0106", 2048), tlv(4, b"\x5a" * 40_000))
    yield "40 KiB under RC2", pem_block("ENCRYPTED PRIVATE KEY", old)
    yield "scrypt with a large N", locked_key(scrypt(2**30, 8, 1))
    yield "scrypt with a large r", locked_key(scrypt(2, 2**20, 16))
    yield "scrypt with many passes", locked_key(scrypt(2**18, 8, 16))
    yield "scrypt with a large p", locked_key(scrypt(2, 1, 2**29))
    yield "scrypt with more N than its r has room for", locked_key(scrypt(2**16, 1, 1))
    yield "deep", pem_block("PRIVATE KEY", deep(5_000))
    yield "deep and encrypted", pem_block("ENCRYPTED PRIVATE KEY", deep(5_000))
    yield "deep in BER", pem_block("PRIVATE KEY", deep_ber())
    yield "thousands of blocks", pem_block("PRIVATE KEY", b"\x05\0") * 900
    yield (
        "thousands of headers",
        locked_key(pbkdf2(1)).replace("-----\n", "-----\na: b\n" + "a: b\n" * 11_000, 1),
    )
    huge = (1 << 70_000) + 1
    yield "RSA with numbers of 9 KiB", pem_block("RSA PRIVATE KEY", _rsa(huge, 3))
    yield (
        "RSA with a small modulus and a huge factor",
        pem_block("RSA PRIVATE KEY", _rsa((1 << 2048) + 1, huge)),
    )
    yield "RSA with zeros", pem_block("RSA PRIVATE KEY", _rsa(0, 0))
    yield "DSA with numbers of 9 KiB", pem_block("PRIVATE KEY", _dsa(huge, huge, 2, huge - 1))
    yield "DSA with zeros", pem_block("PRIVATE KEY", _dsa(0, 0, 0, 0))
    yield (
        "DSA with a long exponent",
        pem_block("PRIVATE KEY", _dsa((1 << 9999) + 1, (1 << 9000) + 1, 3, 1 << 8999)),
    )
    yield "Ed25519 with 31 bytes, an internal error of the library", _raw("2b6570", 31)
    yield "X448 with 1,000 bytes, an internal error of the library", _raw("2b656f", 1000)
    yield "EC over a field of 20 KiB", pem_block("EC PRIVATE KEY", _ec_over(1 << 160_000))


def _rsa(modulus: int, factor: int) -> bytes:
    numbers = (0, modulus, 65537, 3, factor, factor, factor, factor, factor)
    return sequence(*map(integer, numbers))


def _raw(kind: str, length: int) -> str:
    """RFC 8410."""
    key = sequence(integer(0), sequence(oid(kind)), tlv(4, tlv(4, b"\1" * length)))
    return pem_block("PRIVATE KEY", key)


def _dsa(p: int, q: int, g: int, x: int) -> bytes:
    algorithm = sequence(oid("2a8648ce380401"), sequence(*map(integer, (p, q, g))))
    return sequence(integer(0), algorithm, tlv(4, integer(x)))


def _ec_over(prime: int) -> bytes:
    return sequence(integer(1), tlv(4, b"\1" * 32), tlv(0xA0, explicit_curve(prime)))
