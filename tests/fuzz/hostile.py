"""Small inputs that ask for a great deal of work, memory or depth, each in one way.

A case's name says what an unguarded reader would do over it. They are made when asked for, with no key
generation, and stay within the limits of size, so that nothing but the reading itself can refuse them.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.certificates import (
    NOT_AFTER,
    NOT_BEFORE,
    Issued,
    encrypted_info,
    issue,
    name,
    pem_block,
    tlv,
)
from tests.fuzz.case import Case
from tests.fuzz.trees import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 500 * 1024
"""Bytes, decoded: a little less than what is accepted."""
MOST_TEXT: Final = 700_000
"""Characters: a little less than what is accepted."""
DEEP: Final = 10_000
DEAR_ROUNDS: Final = 10_000_000
_OPAQUE: Final = b"\x5a" * 64


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


# --- keys

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


def locked_key(kdf: bytes, sealed: bytes = _OPAQUE) -> str:
    """A PKCS#8 key that nobody opens."""
    return encrypted_info(kdf, AES, sealed)


def _keys() -> Iterator[tuple[str, str]]:
    yield "ten million rounds of PBKDF2", locked_key(pbkdf2(DEAR_ROUNDS))
    yield "2^62 rounds", locked_key(pbkdf2(2**62))
    yield "rounds of 10,000 digits", locked_key(pbkdf2(1 << 33_000))
    yield "a salt of 40 KiB", locked_key(pbkdf2(1000, b"s" * 40_000))
    old = sequence(pbe("2a864886f70d010503", DEAR_ROUNDS), tlv(4, _OPAQUE))
    yield "ten million rounds of PBES1", pem_block("ENCRYPTED PRIVATE KEY", old)
    old = sequence(pbe("2a864886f70d010c0106", DEAR_ROUNDS), tlv(4, _OPAQUE))
    yield "ten million rounds of PKCS#12 PBE", pem_block("ENCRYPTED PRIVATE KEY", old)
    old = sequence(pbe("2a864886f70d010c0106", 2048), tlv(4, b"\x5a" * 40_000))
    yield "40 KiB under RC2", pem_block("ENCRYPTED PRIVATE KEY", old)
    yield "scrypt with a large N", locked_key(scrypt(2**30, 8, 1))
    yield "scrypt with a large r", locked_key(scrypt(2, 2**20, 16))
    yield "scrypt with many passes", locked_key(scrypt(2**18, 8, 16))
    yield "scrypt with a large p", locked_key(scrypt(2, 1, 2**29))
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
    yield "EC over a field of 20 KiB", pem_block("EC PRIVATE KEY", _ec_over(1 << 160_000))


def _rsa(modulus: int, factor: int) -> bytes:
    numbers = (0, modulus, 65537, 3, factor, factor, factor, factor, factor)
    return sequence(*map(integer, numbers))


def _dsa(p: int, q: int, g: int, x: int) -> bytes:
    algorithm = sequence(oid("2a8648ce380401"), sequence(*map(integer, (p, q, g))))
    return sequence(integer(0), algorithm, tlv(4, integer(x)))


def _ec_over(prime: int) -> bytes:
    return sequence(integer(1), tlv(4, b"\1" * 32), tlv(0xA0, explicit_curve(prime)))


def explicit_curve(prime: int) -> bytes:
    """SpecifiedECDomain (SEC 1 appendix C.2) over any number."""
    field = sequence(oid("2a8648ce3d0101"), integer(prime))
    curve = sequence(tlv(4, b"\1"), tlv(4, b"\2"))
    return sequence(
        integer(1), field, curve, tlv(4, b"\4" + b"\1" * 64), integer(prime), integer(1)
    )


# --- certificates

_ECDSA: Final = sequence(oid("2a8648ce3d040302"))
_RSA_SHA256: Final = sequence(oid("2a864886f70d01010b"), b"\x05\0")
_RSA: Final = sequence(oid("2a864886f70d010101"), b"\x05\0")
_SUBJECT: Final = name("hostile").public_bytes()


def certificate(
    *,
    spki: bytes | None = None,
    subject: bytes = _SUBJECT,
    issuer: bytes = _SUBJECT,
    serial: int = 1,
    extensions: bytes = b"",
    algorithm: bytes = _ECDSA,
    signature: bytes = _OPAQUE,
) -> bytes:
    """A certificate with anything in it; its signature lies."""
    dates = sequence(
        *(tlv(0x17, f"{day:%y%m%d%H%M%SZ}".encode()) for day in (NOT_BEFORE, NOT_AFTER))
    )
    key = spki if spki is not None else ec_spki()
    more = tlv(0xA3, sequence(extensions)) if extensions else b""
    body = sequence(
        tlv(0xA0, integer(2)), integer(serial), algorithm, issuer, dates, subject, key, more
    )
    return sequence(body, algorithm, tlv(3, b"\0" + signature))


def ec_spki() -> bytes:
    """A point of P-256: the generator."""
    point = bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )
    return sequence(sequence(oid("2a8648ce3d0201"), oid("2a8648ce3d030107")), tlv(3, b"\0" + point))


def rsa_spki(modulus: int, exponent: int) -> bytes:
    """Any two numbers."""
    return sequence(_RSA, tlv(3, b"\0" + sequence(integer(modulus), integer(exponent))))


def _rsa_certificate(bits: int, exponent: int, serial: int = 1) -> bytes:
    spki = rsa_spki((1 << bits) - 1, exponent)
    signature = b"\x5a" * (bits // 8)
    return certificate(spki=spki, algorithm=_RSA_SHA256, signature=signature, serial=serial)


def _extension(kind: str, value: bytes) -> bytes:
    return sequence(oid(kind), tlv(4, value))


def _look_alikes(curve: ec.EllipticCurve, count: int) -> bytes:
    """Issued by each other, as far as their names go, and signed by none of them."""
    key = ec.generate_private_key(curve)
    signer = Issued(issue("hostile").certificate, ec.generate_private_key(curve))
    first = issue("hostile", by=signer, key=key, serial=1)
    one = first.der
    at = one.index(b"\x02\x01\x01")
    return b"".join(one[: at + 2] + bytes([n]) + one[at + 3 :] for n in range(1, count + 1))


def _pem_of(joined: bytes) -> str:
    return "".join(pem_block("CERTIFICATE", node.encode()) for node in parse(joined) or [])


def _certificates() -> Iterator[tuple[str, bytes]]:
    yield "RSA with 16,384 bits", _rsa_certificate(16_384, 65537)
    yield "RSA with 200,000 bits", _rsa_certificate(200_000, 65537)
    yield "RSA with a long exponent", _rsa_certificate(3072, (1 << 3071) + 1)
    yield "RSA with a longer exponent than modulus", _rsa_certificate(2048, (1 << 900_000) + 1)
    yield "RSA of zeros", certificate(spki=rsa_spki(0, 0), algorithm=_RSA_SHA256)
    yield "EC over a field of 100 KiB", certificate(spki=_ec_spki_over((1 << 800_000) + 1))
    yield "DSA of zeros", certificate(spki=_dsa_spki(0, 0, 0, 0))
    yield "DSA with numbers of 50 KiB", certificate(spki=_dsa_spki(*[(1 << 400_000) + 1] * 4))
    names = b"\x82\x01a" * (MOST // 3)
    yield "100,000 names", certificate(extensions=_extension("551d11", sequence(names)))
    addresses = (b"\x87\x10" + b"\x20" * 16) * (MOST // 18)
    yield "25,000 addresses", certificate(extensions=_extension("551d11", sequence(addresses)))
    directory = deep(DEEP, 0xA4)
    yield "deep names", certificate(extensions=_extension("551d11", sequence(directory)))
    yield "an attribute of 500 KiB", certificate(subject=_name(tlv(0x0C, b"a" * MOST)))
    yield "500 KiB of blanks and commas", certificate(subject=_name(tlv(0x0C, b", " * (MOST // 2))))
    yield (
        "500 KiB of wide characters",
        certificate(subject=_name(tlv(0x1C, b"\0\x01\xf5\x11" * (MOST // 4)))),
    )
    yield "30,000 attributes", certificate(subject=_names(30_000))
    yield "100,000 empty sets", certificate(subject=sequence(b"\x31\0" * 200_000))
    long = tlv(6, b"\x81" * (MOST // 2 - 400) + b"\1")
    yield "algorithm numbers of 250 KiB", certificate(algorithm=sequence(long))
    yield "an attribute number of 250 KiB", certificate(subject=_name(tlv(0x0C, b"a"), long))
    yield "a serial number of 500 KiB", certificate(serial=1 << 8 * MOST)
    many = _extension("2a03", b"") * (MOST // 8)
    yield "50,000 extensions", certificate(extensions=many)
    different = b"".join(
        sequence(tlv(6, n.to_bytes(3, "big")), tlv(4, b""))
        for n in range(0x2A0101, 0x2A7F01)
        if not n & 0x80
    )
    yield "thousands of different extensions", certificate(extensions=different)
    yield "deep extensions", certificate(extensions=deep())
    yield "deep", deep()
    yield "deep in BER", deep_ber()
    yield "deep strings in BER", sequence(deep_ber(DEEP, 0x24))
    yield "200,000 empty values", sequence(b"\x05\0" * 250_000)


def _ec_spki_over(prime: int) -> bytes:
    algorithm = sequence(oid("2a8648ce3d0201"), explicit_curve(prime))
    return sequence(algorithm, tlv(3, b"\0\4" + b"\1" * 64))


def _dsa_spki(p: int, q: int, g: int, y: int) -> bytes:
    algorithm = sequence(oid("2a8648ce380401"), sequence(*map(integer, (p, q, g))))
    return sequence(algorithm, tlv(3, b"\0" + integer(y)))


def _name(value: bytes, kind: bytes = oid("550403")) -> bytes:
    return sequence(tlv(0x31, sequence(kind, value)))


def _names(count: int) -> bytes:
    return sequence(tlv(0x31, sequence(oid("550403"), tlv(0x0C, b"a"))) * count)


# --- containers

_DATA: Final = oid("2a864886f70d010701")
_BAG: Final = "2a864886f70d010c0a01"


def pfx(contents: bytes, mac: bytes = b"") -> bytes:
    """RFC 7292 around an AuthenticatedSafe's members."""
    safe = sequence(_DATA, tlv(0xA0, tlv(4, sequence(contents))))
    return sequence(integer(3), safe, mac)


def _mac(rounds: int) -> bytes:
    digest = sequence(sequence(oid("608648016503040201"), b"\x05\0"), tlv(4, b"\1" * 32))
    return sequence(digest, tlv(4, b"saltsalt"), integer(rounds))


def _plain(bags: bytes) -> bytes:
    return sequence(_DATA, tlv(0xA0, tlv(4, sequence(bags))))


def _locked(algorithm: bytes, sealed: bytes) -> bytes:
    info = sequence(_DATA, algorithm, tlv(0x80, sealed))
    return sequence(oid("2a864886f70d010706"), tlv(0xA0, sequence(integer(0), info)))


def _pbes2(rounds: int) -> bytes:
    return sequence(PBES2, sequence(pbkdf2(rounds), AES))


def _bag(kind: str, value: bytes) -> bytes:
    return sequence(oid(_BAG + kind), tlv(0xA0, value))


def _pfxs() -> Iterator[tuple[str, bytes]]:
    yield "ten million rounds for the MAC", pfx(_plain(b""), _mac(DEAR_ROUNDS))
    yield "ten million rounds for the contents", pfx(_locked(_pbes2(DEAR_ROUNDS), _OPAQUE), _mac(1))
    shrouded = _bag("02", sequence(_pbes2(DEAR_ROUNDS), tlv(4, _OPAQUE)))
    yield "ten million rounds for the key", pfx(_plain(shrouded))
    dear = sequence(_pbes2(1_000_000), tlv(4, _OPAQUE))
    yield "fifty keys with a million rounds each", pfx(_plain(_bag("02", dear) * 50))
    yield "fifty safes with a million rounds each", pfx(_locked(_pbes2(1_000_000), _OPAQUE) * 50)
    slow = pbe("2a864886f70d010c0106", 1)
    yield "400 KiB under RC2", pfx(_locked(slow, b"\x5a" * 400_000))
    small = _locked(pbe("2a864886f70d010c0106", 1000), b"\x5a" * 8)
    yield "thousands of small safes under RC2", pfx(small * (MOST // len(small) - 2))
    yield "thousands of bags", pfx(_plain(_bag("04", b"\x05\0") * 20_000))
    nested = _bag("03", b"\x05\0")
    for _ in range(200):
        nested = _bag("06", sequence(nested))
    yield "bags in bags", pfx(_plain(nested))
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
    yield "a friendly name of 300 KiB", pfx(_plain(named))
    yield "a thousand certificates", pfx(_plain(_bag("03", x509) * 1000))


def pkcs7(certificates: bytes) -> bytes:
    """RFC 5652 SignedData without a signature."""
    signed = sequence(
        integer(1), tlv(0x31, b""), sequence(_DATA), tlv(0xA0, certificates), tlv(0x31, b"")
    )
    return sequence(oid("2a864886f70d010702"), tlv(0xA0, signed))


def _pkcs7s() -> Iterator[tuple[str, bytes]]:
    one = certificate()
    yield "as many certificates as there is room for", pkcs7(one * (MOST // len(one) - 2))
    yield "look-alikes", pkcs7(_look_alikes(ec.BrainpoolP512R1(), 100))
    yield "deep", pkcs7(deep())
    yield (
        "deep in BER",
        b"\x30\x80" + oid("2a864886f70d010702") + b"\xa0\x80" + deep_ber() + b"\0" * 4,
    )
    yield "200,000 empty values", pkcs7(b"\x05\0" * 200_000)


# --- texts


def _texts() -> Iterator[tuple[str, str]]:
    yield "300,000 empty lines", "\n" * 300_000 + issue().pem + "\n" * 300_000
    yield "20,000 empty blocks", "-----BEGIN A-----\n-----END A-----\n" * 20_000
    yield (
        "10,000 certificates that are none",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" * 10_000,
    )
    yield "a line of dashes", "-" * MOST_TEXT
    yield "a label without end", "-----BEGIN " + "A-" * 340_000
    yield "half a marker on each line", "----- BEGIN\n" * 50_000
    yield "almost a marker on each line", "-- BEGIN CERTIFICATE --\n" * 28_000
    yield "base64 with a blank after each character", " ".join(b64(b"\x30\x80" * 120_000))
    yield "base64 with a line break after each character", "\r\n".join(b64(b"\x30\x80" * 80_000))
    yield "blanks", "A" + " " * MOST_TEXT + "A"
    yield "base64 that ends in blanks and a mark", "A" * 340_000 + " " * 340_000 + "!"
    yield "an equals sign on each line", "=\n" * 340_000
    yield "base64 in base64 in base64", _wrapped(b"x" * 100_000, 6)
    yield "data: in data:", "data:;base64," * 50_000
    yield "data: without end", "data:" + "a;" * 340_000
    yield "data: with percents", "data:," + "%30%80" * 110_000
    yield "data: in base64, in itself", _data_in_data(20)
    yield "brackets", "[" * MOST_TEXT
    yield "braces", '{"a":' * 140_000
    yield "angles", "<a>" * 230_000
    yield "text in UTF-16 with a mark", "\ufeff" + "\0".join("-----BEGIN CERTIFICATE-----" * 12_000)
    yield "marks", "\ufeff" * 230_000
    yield (
        "headers",
        "-----BEGIN CERTIFICATE-----\n"
        + "Proc-Type: 4,ENCRYPTED\n" * 30_000
        + "-----END CERTIFICATE-----\n",
    )
    yield (
        "a header without end",
        "-----BEGIN CERTIFICATE-----\n" + "a" * 600_000 + "\n-----END CERTIFICATE-----\n",
    )
    yield "the name of a file", "/" + "a " * 340_000 + ".pem"
    yield "quotes", json.dumps("\n" * 300_000)


def _wrapped(data: bytes, times: int) -> str:
    for _ in range(times):
        data = base64.b64encode(data)
    return data.decode()


def _data_in_data(times: int) -> str:
    text = "data:;base64,"
    for _ in range(times):
        text = "data:;base64," + b64(text.encode())
    return text


HONEST: Final = issue()


def keys() -> list[tuple[str, Case]]:
    """In private_key beside an honest certificate, and alone."""
    found: list[tuple[str, Case]] = []
    for what, key in _keys():
        found += [
            (f"key beside: {what}", Case("pem", HONEST.pem, key, "x")),
            (f"key alone: {what}", Case("key", key, None, "x")),
        ]
    return found


def certificates() -> list[tuple[str, Case]]:
    """In DER and in PEM by turns."""
    found = [
        (f"crt: {what}", Case("crt", b64(der)))
        if number % 2
        else (f"pem: {what}", Case("pem", pem_block("CERTIFICATE", der)))
        for number, (what, der) in enumerate(_certificates())
    ]
    look_alikes = _pem_of(_look_alikes(ec.SECP521R1(), 100))
    slow = "".join(
        pem_block("CERTIFICATE", _rsa_certificate(3072, (1 << 3071) + 1, serial=n))
        for n in range(100)
    )
    return [
        *found,
        ("pem: look-alikes under P-521", Case("pem", look_alikes)),
        ("pem: look-alikes with long exponents", Case("pem", slow)),
        (
            "pem: two thousand times the same",
            Case("pem", pem_block("CERTIFICATE", certificate()) * 900),
        ),
    ]


def containers() -> list[tuple[str, Case]]:
    """PKCS#12 and PKCS#7."""
    return [
        *((f"pfx: {what}", Case("pfx", b64(der), None, "x")) for what, der in _pfxs()),
        *((f"pkcs7: {what}", Case("pkcs7", b64(der))) for what, der in _pkcs7s()),
        ("pkcs7: deep in PEM", Case("p7b", pem_block("PKCS7", pkcs7(deep())))),
    ]


def texts() -> list[tuple[str, Case]]:
    """Of no type in particular."""
    return [
        (f"{kind}: {what}", Case(kind, text, None, "x"))
        for what, text in _texts()
        for kind in ("pem", "p7b")
    ]
