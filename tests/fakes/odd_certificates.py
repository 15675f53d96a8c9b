"""Certificates that no library would write: every part of the DER can be replaced (RFC 5280 section 4.1)."""

from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.certificates import pem_block, tlv

BOOLEAN_TRUE = b"\x01\x01\xff"
COMMON_NAME = "2.5.4.3"
ORGANIZATION = "2.5.4.10"
COUNTRY = "2.5.4.6"
BASIC_CONSTRAINTS = "2.5.29.19"
ALTERNATIVE_NAMES = "2.5.29.17"

UTF8, NUMERIC, PRINTABLE, TELETEX, IA5, UNIVERSAL, BMP = 0x0C, 0x12, 0x13, 0x14, 0x16, 0x1C, 0x1E
"""Tags of the string types in names (X.690 section 8.23)."""


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of elements."""
    return tlv(0x30, b"".join(parts))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    return tlv(6, b"".join(_base128(arc) for arc in (40 * first + second, *rest)))


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))


def algorithm(dotted: str, *parameters: bytes) -> bytes:
    """An AlgorithmIdentifier."""
    return sequence(oid(dotted), *parameters)


def attribute(dotted: str, value: bytes, tag: int = UTF8) -> bytes:
    """An AttributeTypeAndValue."""
    return sequence(oid(dotted), tlv(tag, value))


def rdn(*attributes: bytes) -> bytes:
    """A RelativeDistinguishedName: a SET, here in the order given."""
    return tlv(0x31, b"".join(attributes))


def named(common_name: str) -> bytes:
    """A Name of one common name."""
    return sequence(rdn(attribute(COMMON_NAME, common_name.encode())))


def utc_time(text: str) -> bytes:
    """A UTCTime."""
    return tlv(0x17, text.encode())


def generalized_time(text: str) -> bytes:
    """A GeneralizedTime."""
    return tlv(0x18, text.encode())


def extension(dotted: str, value: bytes, critical: bytes = b"") -> bytes:
    """An Extension around the DER of its value."""
    return sequence(oid(dotted), critical, tlv(4, value))


def alternative_names(*names: tuple[int, bytes]) -> bytes:
    """A subjectAltName of (number of the choice, content): 2 is a DNS name, 7 an IP address."""
    return extension(
        ALTERNATIVE_NAMES, sequence(*(tlv(0x80 | choice, body) for choice, body in names))
    )


def authority(value: bytes = BOOLEAN_TRUE) -> bytes:
    """A basicConstraints that makes a CA."""
    return extension(BASIC_CONSTRAINTS, sequence(value), BOOLEAN_TRUE)


def public_key_info(key: PublicKeyTypes) -> bytes:
    """The SubjectPublicKeyInfo of a real key."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def odd_key(dotted: str, bits: bytes = b"\x07" * 32, *parameters: bytes) -> bytes:
    """A SubjectPublicKeyInfo of any algorithm."""
    return sequence(algorithm(dotted, *parameters), tlv(3, b"\0" + bits))


ECDSA_SHA256 = algorithm("1.2.840.10045.4.3.2")
VERSION_3 = tlv(0xA0, tlv(2, b"\x02"))
VALIDITY = sequence(utc_time("260101000000Z"), utc_time("270101000000Z"))
ED25519_KEY = odd_key("1.3.101.112", bytes(range(32)))


def odd(
    *,
    version: bytes = VERSION_3,
    serial: bytes = b"\x02\x01\x07",
    signature_algorithm: bytes = ECDSA_SHA256,
    outer_algorithm: bytes | None = None,
    issuer: bytes | None = None,
    validity: bytes = VALIDITY,
    subject: bytes | None = None,
    key: bytes = ED25519_KEY,
    unique_ids: bytes = b"",
    extensions: tuple[bytes, ...] | None = None,
    signature: bytes | None = None,
    sign: Callable[[bytes], bytes] | None = None,
    after: bytes = b"",
) -> bytes:
    """A certificate of these parts in DER. Without `sign`, which is given the TBSCertificate, its signature
    is no more than some bits. `after` follows the signature, inside the outer SEQUENCE."""
    listed = b"" if extensions is None else tlv(0xA3, sequence(*extensions))
    tbs = sequence(
        version,
        serial,
        signature_algorithm,
        named("Odd CA") if issuer is None else issuer,
        validity,
        named("odd.example") if subject is None else subject,
        key,
        unique_ids,
        listed,
    )
    bits = b"\x30\x06\x02\x01\x01\x02\x01\x01" if sign is None else sign(tbs)
    signed = tlv(3, b"\0" + bits) if signature is None else signature
    outer = signature_algorithm if outer_algorithm is None else outer_algorithm
    return sequence(tbs, outer, signed, after)


def ecdsa(
    key: ec.EllipticCurvePrivateKey, digest: hashes.HashAlgorithm | None = None
) -> Callable[[bytes], bytes]:
    """Signs with ECDSA, with SHA-256 unless told otherwise."""
    return lambda signed: key.sign(signed, ec.ECDSA(digest or hashes.SHA256()))


def rsa_signature(key: rsa.RSAPrivateKey, digest: hashes.HashAlgorithm) -> Callable[[bytes], bytes]:
    """Signs with RSA (PKCS#1 v1.5)."""
    return lambda signed: key.sign(signed, padding.PKCS1v15(), digest)


def odd_pem(certificate: bytes) -> str:
    """It in PEM."""
    return pem_block("CERTIFICATE", certificate)
