"""What a private key's DER says about itself, and the same key as PKCS#8.

PKCS#8 and its successor OneAsymmetricKey (RFC 5958), encrypted or not; PKCS#1 (RFC 8017 A.1.2); SEC1
(RFC 5915); DSA as OpenSSL writes it. No key is accepted because of what is read here: the library
loads the PKCS#8 that comes out, and this cannot make a good key of a bad one.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from services.secrets.certificates.encodings import ber, der
from services.secrets.certificates.keys.pbes2 import algorithm_of

EC: Final = "1.2.840.10045.2.1"
DSA: Final = "1.2.840.10040.4.1"
RSA: Final = "1.2.840.113549.1.1.1"
RSASSA_PSS: Final = "1.2.840.113549.1.1.10"

MULTI_PRIME: Final = "RSA with more than two primes"

_RSA_NULL: Final = bytes.fromhex("300d06092a864886f70d0101010500")
_EC_OID: Final = bytes.fromhex("06072a8648ce3d0201")
_DSA_OID: Final = bytes.fromhex("06072a8648ce380401")
_VERSIONS: Final = (0, 1)
_SEC1_VERSION: Final = 1
_RSA_NUMBERS: Final = 9  # version, n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p
_DSA_NUMBERS: Final = 6  # version, p, q, g, y, x
PARAMETERS: Final = der.context(0)
"""The tag in front of a SEC1 key's curve, and of a PKCS#8 key's attributes."""
_PUBLIC_KEY: Final = der.context(1)
_IMPLICIT_PUBLIC_KEY: Final = der.context(1, constructed=False)


class NoKeyStructure(ValueError):  # noqa: N818 - a refusal
    """It is no private key of any kind, nor a damaged one."""


class UnsupportedKey(Exception):  # noqa: N818 - a refusal
    """A whole private key of a kind that is not supported; the text names the kind."""


@dataclass(frozen=True, slots=True)
class EncryptedKey:
    """EncryptedPrivateKeyInfo: how the PKCS#8 was encrypted, and the ciphertext."""

    algorithm: der.Element
    data: bytes = field(repr=False)
    is_ber: bool = False


@dataclass(frozen=True, slots=True)
class PlainKey:
    """The members of PrivateKeyInfo. `public` is the public half if the structure holds one, as bits.

    `oid` is the kind of key; `parameters` are the algorithm's, such as a curve, and an empty SEQUENCE when
    there are none.
    """

    algorithm: der.Element
    oid: str
    parameters: der.Element
    key: bytes = field(repr=False)
    public: bytes | None = None
    is_ber: bool = False

    @property
    def pkcs8(self) -> bytes:
        """PrivateKeyInfo, version 0, without attributes: the form that every library reads."""
        return encode(
            der.SEQUENCE, b"\2\1\0", self.algorithm.encoded, encode(der.OCTET_STRING, self.key)
        )


def structure_of(data: bytes, curve: bytes | None = None) -> EncryptedKey | PlainKey:
    """The one key that `data` is, in DER or BER, with or without line ends or NULs behind it.

    `curve`: what an EC PARAMETERS block before it held, for a SEC1 key that does not name its own.
    Raises NoKeyStructure, UnsupportedKey, and ValueError for a key that is damaged.
    """
    try:
        value, rest = ber.first_value(data)
        members = der.sequence(value)
    except ValueError:
        raise NoKeyStructure from None
    if rest.strip(der.PADDING):
        raise NoKeyStructure
    return replace(_structure_of(members, curve), is_ber=not data.startswith(value))


def _structure_of(members: list[der.Element], curve: bytes | None) -> EncryptedKey | PlainKey:
    tags = [member.tag for member in members]
    if tags == [der.SEQUENCE, der.OCTET_STRING]:
        return EncryptedKey(members[0], members[1].body)
    if tags[:3] == [der.INTEGER, der.SEQUENCE, der.OCTET_STRING]:
        return _pkcs8(members)
    if tags[:2] == [der.INTEGER, der.OCTET_STRING]:
        return _sec1(members, curve)
    if len(tags) >= _DSA_NUMBERS and set(tags[:_DSA_NUMBERS]) == {der.INTEGER}:
        return _numbers(members)
    raise NoKeyStructure


def plain_key(algorithm: der.Element, key: bytes, public: bytes | None = None) -> PlainKey:
    """A key of an AlgorithmIdentifier and the octets that go with it. Raises ValueError."""
    oid, parameters = algorithm_of(algorithm)
    return PlainKey(algorithm, oid, parameters, key, public)


def is_whole_key(data: bytes) -> bool:
    """Whether `data` is a private key by its structure, be it supported, damaged inside, or neither."""
    try:
        structure_of(data)
    except NoKeyStructure:
        return False
    except (UnsupportedKey, ValueError):
        return True
    return True


def encode(tag: int, *parts: bytes) -> bytes:
    """One DER element around the parts; `tag` is one octet."""
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:  # noqa: PLR2004 - X.690 section 8.1.3
        return bytes((tag, size)) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + body


def _pkcs8(members: list[der.Element]) -> PlainKey:
    """{ version, algorithm, OCTET STRING, [0] attributes OPTIONAL, [1] publicKey OPTIONAL }"""
    if members[0].integer() not in _VERSIONS:
        raise ValueError("a version that there is not")
    public = None
    for member in members[3:]:
        if member.tag == _IMPLICIT_PUBLIC_KEY:
            public = _bits(member.body)
        elif member.tag == _PUBLIC_KEY:  # as the library ring wrote it for years
            public = _bits(der.element(member.body).body)
        elif member.tag != PARAMETERS:
            raise ValueError("a member that there is not")
    return plain_key(members[1], members[2].body, public)


def _sec1(members: list[der.Element], curve: bytes | None) -> PlainKey:
    """{ version 1, OCTET STRING, [0] parameters OPTIONAL, [1] publicKey OPTIONAL }"""
    if members[0].integer() != _SEC1_VERSION:
        raise ValueError("a version that there is not")
    named = next((member.body for member in members[2:] if member.tag == PARAMETERS), curve)
    if not named:
        raise ValueError("no curve")
    body = b"".join(member.encoded for member in members)
    return plain_key(_algorithm(_EC_OID, named), encode(der.SEQUENCE, body))


def _numbers(members: list[der.Element]) -> PlainKey:
    version = members[0].integer()
    if len(members) > _RSA_NUMBERS and version == 1:
        raise UnsupportedKey(MULTI_PRIME)
    if version != 0:
        raise ValueError("a version that there is not")
    body = [member.encoded for member in members]
    if len(members) == _RSA_NUMBERS:
        return plain_key(der.element(_RSA_NULL), encode(der.SEQUENCE, *body))
    if len(members) == _DSA_NUMBERS:
        parameters = encode(der.SEQUENCE, *body[1:4])
        return plain_key(_algorithm(_DSA_OID, parameters), body[5], members[4].body)
    raise NoKeyStructure


def _algorithm(oid: bytes, parameters: bytes) -> der.Element:
    return der.element(encode(der.SEQUENCE, oid, parameters))


def _bits(body: bytes) -> bytes:
    """The octets of a BIT STRING, of which none is in use in part."""
    if body[:1] != b"\0":
        raise ValueError("a BIT STRING that is not whole octets")
    return body[1:]
