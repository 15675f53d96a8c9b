"""Certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.certificates import (
    NOT_AFTER,
    NOT_BEFORE,
    Issued,
    issue,
    key_pem,
    name,
    pem_block,
    tlv,
)
from tests.fuzz.case import Case
from tests.fuzz.hostile.building import (
    DEEP,
    MOST,
    OPAQUE,
    b64,
    deep,
    deep_ber,
    explicit_curve,
    integer,
    oid,
    sequence,
)
from tests.fuzz.trees import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_ECDSA: Final = sequence(oid("2a8648ce3d040302"))
_RSA_SHA256: Final = sequence(oid("2a864886f70d01010b"), b"\x05\0")
_RSA: Final = sequence(oid("2a864886f70d010101"), b"\x05\0")
_SUBJECT: Final = name("hostile").public_bytes()


def cases() -> list[tuple[str, Case]]:
    """In DER and in PEM by turns."""
    found = [
        (f"crt: {what}", Case("crt", b64(der)))
        if number % 2
        else (f"pem: {what}", Case("pem", pem_block("CERTIFICATE", der)))
        for number, (what, der) in enumerate(_certificates())
    ]
    alike = _pem_of(look_alikes(ec.SECP521R1(), 100))
    slow = "".join(
        pem_block("CERTIFICATE", _rsa_certificate(3072, (1 << 3071) + 1, serial=n))
        for n in range(100)
    )
    return [
        *found,
        ("pem: look-alikes under P-521", Case("pem", alike)),
        ("pem: one key for all, and long names", one_key_and_long_names()),
        ("pem: look-alikes with long exponents", Case("pem", slow)),
        (
            "pem: two thousand times the same",
            Case("pem", pem_block("CERTIFICATE", certificate()) * 900),
        ),
    ]


def certificate(
    *,
    spki: bytes | None = None,
    subject: bytes = _SUBJECT,
    issuer: bytes = _SUBJECT,
    serial: int = 1,
    extensions: bytes = b"",
    algorithm: bytes = _ECDSA,
    signature: bytes = OPAQUE,
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


def look_alikes(curve: ec.EllipticCurve, count: int) -> bytes:
    """Issued by each other, as far as their names go, and signed by none of them."""
    key = ec.generate_private_key(curve)
    signer = Issued(issue("hostile").certificate, ec.generate_private_key(curve))
    first = issue("hostile", by=signer, key=key, serial=1)
    one = first.der
    at = one.index(b"\x02\x01\x01")
    return b"".join(one[: at + 2] + bytes([n]) + one[at + 3 :] for n in range(1, count + 1))


def one_key_and_long_names() -> Case:
    """Each of the CAs could be the key's certificate, and nobody has the names of the strangers' issuers."""
    key = ec.generate_private_key(ec.SECP256R1())
    authorities = [issue(f"CA {n}", key=key, ca=True) for n in range(45)]
    leaves = [issue(f"{n}.example", by=above) for n, above in enumerate(authorities)]
    strangers = "".join(
        pem_block("CERTIFICATE", certificate(issuer=_names(3_500, b"%02d" % n))) for n in range(9)
    )
    honest = "".join(one.pem for one in (*authorities, *leaves))
    return Case("pem", strangers + honest, key_pem(key))


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


def _names(count: int, text: bytes = b"a") -> bytes:
    return sequence(tlv(0x31, sequence(oid("550403"), tlv(0x0C, text))) * count)
