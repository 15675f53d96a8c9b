"""What bytes are, by their outline: the first octets, and the tags of the outer structure.

A guess for people and for the choice of a reader; nothing is accepted because of it. Files that were cut
short and BER in indefinite lengths are recognised too, so that they can be called by their name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from services.secrets.certificates.encodings import der

Shape = Literal[
    "certificate",
    "certificate path",
    "certificate request",
    "certificate revocation list",
    "attribute certificate",
    "pkcs7",
    "pkcs12",
    "private key",
    "encrypted private key",
    "public key",
    "jks",
    "jceks",
    "bks",
    "bcfks",
    "sst",
    "pvk",
    "privatekeyblob",
    "netscape certificate sequence",
    "zip",
    "gzip",
    "pdf",
]
"""The kinds that are told apart: ASN.1 structures of X.509, CMS and PKCS, and files without ASN.1."""

_MAGIC: Final[tuple[tuple[bytes, Shape], ...]] = (
    (b"\xfe\xed\xfe\xed", "jks"),
    (b"\xce\xce\xce\xce", "jceks"),
    (b"\0\0\0\1\0\0\0\x14", "bks"),  # version, length of the salt
    (b"\0\0\0\2\0\0\0\x14", "bks"),
    (b"\0\0\0\0CERT", "sst"),
    (b"\x1e\xf1\xb5\xb0", "pvk"),
    (b"\x07\x02\0\0\0\xa4\0\0", "privatekeyblob"),  # RSA for key exchange
    (b"\x07\x02\0\0\0\x24\0\0", "privatekeyblob"),  # RSA for signatures
    (b"\x07\x02\0\0\0\x22\0\0", "privatekeyblob"),  # DSA
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"%PDF-", "pdf"),
)
_CMS_OIDS: Final = ("1.2.840.113549.1.7.", "1.2.840.113549.1.9.16.1.")
_NETSCAPE_SEQUENCE: Final = "2.16.840.1.113730.2.5"
_PKCS12_VERSION: Final = 3
_KEY_VERSIONS: Final = (0, 1)
_MOST_MEMBERS: Final = 12
_FEWEST_PRIVATE_NUMBERS: Final = 6  # of a DSA key; RSA has nine
_PUBLIC_NUMBERS: Final = 2
_MULTI_BYTE_TAG: Final = 0x1F
_INDEFINITE: Final = 0x80
_MOST_LENGTH_OCTETS: Final = 8
_TIMES: Final = frozenset({0x17, 0x18})  # UTCTime, GeneralizedTime
_EXPLICIT_0: Final = der.context(0)

Tags = Sequence[int]


def shape_of(data: bytes) -> Shape | None:
    """The kind of the first structure in `data`, whatever follows it; None for an unknown one."""
    for magic, shape in _MAGIC:
        if data.startswith(magic):
            return shape
    outer = _peek(data, 1)
    if not outer or outer[0].tag != der.SEQUENCE:
        return None
    members = _peek(outer[0].body)
    try:
        return _shape_of_sequence(members) if members else None
    except ValueError:
        return None


def is_sequence(data: bytes) -> bool:
    """Whether it begins as every structure of X.509 does, so that it is one, or what is left of one."""
    return bool(outer := _peek(data, 1)) and outer[0].tag == der.SEQUENCE


def _shape_of_sequence(members: list[der.Element]) -> Shape | None:
    first, rest = members[0], members[1:]
    if first.tag == der.OBJECT_IDENTIFIER:
        return _named(first.oid())
    if first.tag == der.INTEGER and rest:
        return _numbered(first.integer(), rest)
    return _nested(first, rest) if first.tag == der.SEQUENCE else None


def _named(oid: str) -> Shape | None:
    """A ContentInfo, or another structure that begins with its name."""
    if oid == _NETSCAPE_SEQUENCE:
        return "netscape certificate sequence"
    return "pkcs7" if oid.startswith(_CMS_OIDS) else None


def _nested(first: der.Element, rest: list[der.Element]) -> Shape | None:
    inner = _peek(first.body)
    inner_tags = [element.tag for element in inner]
    second = rest[0].tag if rest else None
    if second == der.OCTET_STRING:
        return "encrypted private key" if inner_tags[:1] == [der.OBJECT_IDENTIFIER] else None
    if second == der.BIT_STRING:
        return "public key"
    if inner_tags == [der.SEQUENCE, der.OCTET_STRING]:
        return "bcfks"
    return _signed(inner)


def _numbered(version: int, rest: list[der.Element]) -> Shape | None:
    if rest[0].tag == der.OCTET_STRING:
        return "private key"  # SEC1
    if rest[0].tag == der.INTEGER:
        return _numbers(version, 1 + len(rest))
    if rest[0].tag != der.SEQUENCE:
        return None
    if version == _PKCS12_VERSION:
        return "pkcs12"
    return "private key" if version in _KEY_VERSIONS and _begins_with_oid(rest[0]) else None


def _numbers(version: int, count: int) -> Shape | None:
    """PKCS#1, or DSA as OpenSSL writes it; a key that was cut short still begins with its version."""
    if version in _KEY_VERSIONS or count >= _FEWEST_PRIVATE_NUMBERS:
        return "private key"
    return "public key" if count == _PUBLIC_NUMBERS else None


def _signed(body: list[der.Element]) -> Shape | None:
    """A certificate, its request and its revocation list have the same outside (X.509 SIGNED)."""
    tags = [element.tag for element in body]
    if tags[:1] == [_EXPLICIT_0]:
        return "certificate"
    if _TIMES.intersection(tags):
        return "certificate revocation list"
    if tags[:1] == [der.INTEGER] and len(body) > 1:
        return _unversioned(body[1], tags)
    if tags == [der.SEQUENCE, der.SEQUENCE, der.BIT_STRING]:
        return "certificate path"
    return None


def _unversioned(second: der.Element, tags: Tags) -> Shape | None:
    """What begins with a number: a request (its subject follows), or a certificate of version 1."""
    if tags[2:3] == [_EXPLICIT_0]:
        return "attribute certificate"
    if second.tag != der.SEQUENCE:
        return None
    return "certificate" if _begins_with_oid(second) else "certificate request"


def _begins_with_oid(element: der.Element) -> bool:
    return [child.tag for child in _peek(element.body, 1)] == [der.OBJECT_IDENTIFIER]


def _peek(data: bytes, most: int = _MOST_MEMBERS) -> list[der.Element]:
    """The first elements of `data` as far as they go: the last may be cut, or run to the end."""
    found: list[der.Element] = []
    at = 0
    while len(found) < most and at + 2 <= len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        octets = length - _INDEFINITE
        if not tag or tag & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG or octets > _MOST_LENGTH_OCTETS:
            break
        if octets == 0:
            length = len(data)
        elif octets > 0:
            length = int.from_bytes(data[start : start + octets], "big")
            start += octets
        found.append(der.Element(tag, data[start : start + length]))
        at = start + length
    return found
