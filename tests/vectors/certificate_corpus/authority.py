"""Keys and certificates of the corpus. Trusted by nobody.

Keys come from seeds, and ECDSA signs deterministically, so that a new run writes the same bytes. The
certificates are written by hand here and signed by `cryptography`, because its builder refuses to write
most of the odd ones that people have.
"""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256, shake_256
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    mldsa,
    padding,
    rsa,
    x25519,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.vectors.certificate_corpus import asn1, numbers

NOT_BEFORE: Final = datetime(2026, 1, 1, tzinfo=UTC)
NOT_AFTER: Final = datetime(2046, 1, 1, tzinfo=UTC)

RSA_ENCRYPTION: Final = "1.2.840.113549.1.1.1"
RSASSA_PSS: Final = "1.2.840.113549.1.1.10"
_SHA256: Final = "2.16.840.1.101.3.4.2.1"


def seed(name: str, length: int = 32) -> bytes:
    """Bytes that look random and are always the same."""
    return shake_256(f"coffer certificate corpus: {name}".encode()).digest(length)


@dataclass(frozen=True)
class Pair:
    """A private key with what the metadata must call it. `oid` replaces the key's algorithm."""

    private: Any = field(repr=False)
    algorithm: str
    size: int | None
    is_pss: bool = False

    @property
    def pkcs8(self) -> bytes:
        """Plain PKCS#8 in DER."""
        if self.is_pss:
            inner = self.private.private_bytes(
                Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
            )
            return asn1.sequence(asn1.integer(0), asn1.algorithm(RSASSA_PSS), asn1.octets(inner))
        written: bytes = self.private.private_bytes(
            Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
        )
        return written

    @property
    def traditional(self) -> bytes:
        """PKCS#1, SEC1 or OpenSSL's DSA form in DER."""
        written: bytes = self.private.private_bytes(
            Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        return written

    @property
    def spki(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        if self.is_pss:
            inner = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
            return asn1.sequence(asn1.algorithm(RSASSA_PSS), asn1.bits(inner))
        written: bytes = self.private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return written


def ec_pair(name: str, curve: ec.EllipticCurve | None = None) -> Pair:
    """A key on that curve, P-256 unless told otherwise."""
    chosen = curve or ec.SECP256R1()
    scalar = int.from_bytes(seed(name, chosen.key_size // 8 - 1))
    return Pair(ec.derive_private_key(scalar, chosen), "EC", chosen.key_size)


def ed25519_pair(name: str) -> Pair:
    """An Ed25519 key."""
    return Pair(ed25519.Ed25519PrivateKey.from_private_bytes(seed(name)), "Ed25519", 256)


def x25519_pair(name: str) -> Pair:
    """An X25519 key, which agrees on keys and signs nothing."""
    return Pair(x25519.X25519PrivateKey.from_private_bytes(seed(name)), "X25519", 256)


def ed448_pair(name: str) -> Pair:
    """An Ed448 key."""
    return Pair(ed448.Ed448PrivateKey.from_private_bytes(seed(name, 57)), "Ed448", 456)


@functools.cache
def rsa_pair(bits: int = 2048, *, is_pss: bool = False) -> Pair:
    """The one RSA key of that size."""
    e = 65537
    p, q = numbers.primes(f"rsa {bits}", bits // 2, 2)
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    whole = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return Pair(whole.private_key(), "RSA", bits, is_pss)


@functools.cache
def dsa_pair() -> Pair:
    """The one DSA key, 2,048 and 256 bits (FIPS 186-4)."""
    (q,) = numbers.primes("dsa q", 256, 1)
    p = numbers.prime_above_multiple_of(2 * q, "dsa p", 2048)
    g = pow(2, (p - 1) // q, p)
    x = int.from_bytes(seed("dsa x")) % q
    parameters = dsa.DSAParameterNumbers(p, q, g)
    public = dsa.DSAPublicNumbers(pow(g, x, p), parameters)
    return Pair(dsa.DSAPrivateNumbers(x, public).private_key(), "DSA", 2048)


def ml_dsa_pair(strength: int) -> Pair:
    """ML-DSA-44, -65 or -87 (FIPS 204); the size is that of the public key, as OpenSSL says it."""
    from_seed: dict[int, Any] = {
        44: mldsa.MLDSA44PrivateKey.from_seed_bytes,
        65: mldsa.MLDSA65PrivateKey.from_seed_bytes,
        87: mldsa.MLDSA87PrivateKey.from_seed_bytes,
    }
    private = from_seed[strength](seed(f"ml-dsa {strength}"))
    return Pair(private, f"ML-DSA-{strength}", 8 * {44: 1312, 65: 1952, 87: 2592}[strength])


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and the metadata that it was issued to have."""

    der: bytes = field(repr=False)
    pair: Pair = field(repr=False)
    name: bytes = field(repr=False)
    facts: dict[str, object]


ATTRIBUTES: Final = {
    "CN": "2.5.4.3",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "serialNumber": "2.5.4.5",
    "emailAddress": "1.2.840.113549.1.9.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "UID": "0.9.2342.19200300.100.1.1",
}
UTF8, PRINTABLE, TELETEX, IA5, UNIVERSAL, BMP = 0x0C, 0x13, 0x14, 0x16, 0x1C, 0x1E
_CODECS: Final = {TELETEX: "latin-1", UNIVERSAL: "utf-32-be", BMP: "utf-16-be"}


def attribute(kind: str, value: str, tag: int = UTF8) -> bytes:
    """AttributeTypeAndValue; `kind` is a short name or a dotted number."""
    body = value.encode(_CODECS.get(tag, "utf-8"))
    return asn1.sequence(asn1.oid(ATTRIBUTES.get(kind, kind)), asn1.tlv(tag, body))


def distinguished_name(*rdns: bytes | tuple[str, str]) -> bytes:
    """Name, in the order of its encoding; an RDN may be given as its SET."""
    return asn1.sequence(
        *(rdn if isinstance(rdn, bytes) else asn1.set_of(attribute(*rdn)) for rdn in rdns)
    )


def common(common_name: str) -> bytes:
    """C, O, CN as certificates usually encode them."""
    return distinguished_name(("C", "US"), ("O", "Example Inc"), ("CN", common_name))


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """Extension."""
    flag = asn1.tlv(1, b"\xff") if critical else b""
    return asn1.sequence(asn1.oid(dotted), flag, asn1.octets(value))


def basic_constraints(*, ca: bool) -> bytes:
    """RFC 5280 section 4.2.1.9."""
    value = asn1.sequence(asn1.tlv(1, b"\xff")) if ca else asn1.sequence()
    return extension("2.5.29.19", value, critical=True)


def alternative_names(*names: bytes) -> bytes:
    """RFC 5280 section 4.2.1.6."""
    return extension("2.5.29.17", asn1.sequence(*names))


def dns(name: str | bytes) -> bytes:
    """A dNSName."""
    return asn1.tlv(0x82, name if isinstance(name, bytes) else name.encode())


def ip(address: str | bytes) -> bytes:
    """An iPAddress."""
    packed = address if isinstance(address, bytes) else ipaddress.ip_address(address).packed
    return asn1.tlv(0x87, packed)


def utc_time(moment: datetime) -> bytes:
    """UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5)."""
    if moment.year < 2050:
        return asn1.tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return asn1.tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def shown_time(moment: datetime) -> str:
    """RFC 3339 with milliseconds, as API.md section 1 asks."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True)
class Signature:
    """An AlgorithmIdentifier, OpenSSL's name of it, and how it is made."""

    algorithm: bytes
    name: str
    sign: Any = field(repr=False)


def signature_by(pair: Pair, digest: hashes.HashAlgorithm | None = None) -> Signature:
    """What the key signs with by default: SHA-256 where there is a choice."""
    key = pair.private
    if isinstance(key, rsa.RSAPrivateKey):
        if pair.is_pss:
            return _pss(key)
        oid, name = _RSA_SIGNATURES[digest.name if digest else "sha256"]
        return Signature(
            asn1.algorithm(oid, asn1.NULL),
            name,
            lambda data: key.sign(data, padding.PKCS1v15(), digest or hashes.SHA256()),
        )
    if isinstance(key, ec.EllipticCurvePrivateKey):
        how = ec.ECDSA(digest or hashes.SHA256(), deterministic_signing=True)
        oid, name = _ECDSA_SIGNATURES[digest.name if digest else "sha256"]
        return Signature(asn1.algorithm(oid), name, lambda data: key.sign(data, how))
    if isinstance(key, dsa.DSAPrivateKey):
        return Signature(
            asn1.algorithm("2.16.840.1.101.3.4.3.2"),
            "dsa_with_SHA256",
            lambda data: key.sign(data, hashes.SHA256()),
        )
    oid, name = _OWN_SIGNATURES[pair.algorithm]
    return Signature(asn1.algorithm(oid), name, key.sign)


def _pss(key: rsa.RSAPrivateKey) -> Signature:
    digest = asn1.algorithm(_SHA256)
    mask = asn1.algorithm("1.2.840.113549.1.1.8", digest)
    parameters = asn1.sequence(
        asn1.explicit(0, digest), asn1.explicit(1, mask), asn1.explicit(2, asn1.integer(32))
    )
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return Signature(
        asn1.algorithm(RSASSA_PSS, parameters),
        "rsassaPss",
        lambda data: key.sign(data, scheme, hashes.SHA256()),
    )


_RSA_SIGNATURES: Final = {
    "md5": ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    "sha1": ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    "sha224": ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    "sha256": ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    "sha384": ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    "sha512": ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
}
_ECDSA_SIGNATURES: Final = {
    "sha1": ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    "sha256": ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    "sha384": ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    "sha512": ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
}
_OWN_SIGNATURES: Final = {
    "Ed25519": ("1.3.101.112", "ED25519"),
    "Ed448": ("1.3.101.113", "ED448"),
    "ML-DSA-44": ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    "ML-DSA-65": ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    "ML-DSA-87": ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
}


def issue(
    common_name: str,
    *,
    by: Issued | None = None,
    pair: Pair | None = None,
    ca: bool = False,
    dns_names: tuple[str, ...] = (),
    ip_addresses: tuple[str, ...] = (),
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    serial: int | None = None,
    name: bytes | None = None,
    spki: bytes | None = None,
    extensions: tuple[bytes, ...] | None = None,
    version: int = 2,
    signature: Signature | None = None,
    dates: bytes | None = None,
    serial_der: bytes | None = None,
    **facts: object,
) -> Issued:
    """A certificate, self-signed without `by`. `facts` says how the metadata differs from the ordinary.

    `name`, `spki`, `extensions`, `signature`, `dates` and `serial_der` replace what would be written.
    """
    own = pair or ec_pair(f"key of {common_name}")
    subject = name if name is not None else common(common_name)
    signs = signature or signature_by(by.pair if by else own)
    number = serial if serial is not None else int.from_bytes(sha256(subject).digest()[:8]) >> 1
    if extensions is None:
        names = [dns(entry) for entry in dns_names] + [ip(entry) for entry in ip_addresses]
        extensions = (basic_constraints(ca=ca), *([alternative_names(*names)] if names else []))
    body = asn1.sequence(
        asn1.explicit(0, asn1.integer(version)) if version else b"",
        serial_der or asn1.integer(number),
        signs.algorithm,
        by.name if by else subject,
        dates or asn1.sequence(utc_time(not_before), utc_time(not_after)),
        subject,
        spki or own.spki,
        asn1.explicit(3, asn1.sequence(*extensions)) if extensions else b"",
    )
    der = asn1.sequence(body, signs.algorithm, asn1.bits(signs.sign(body)))
    shown = f"CN={common_name}, O=Example Inc, C=US"
    usual: dict[str, object] = {
        "subject": shown,
        "issuer": by.facts["subject"] if by else facts.get("subject", shown),
        "expires_at": shown_time(not_after),
        "not_before": shown_time(not_before),
        "serial_number": number.to_bytes(max(1, (number.bit_length() + 7) // 8)).hex(),
        "dns_names": list(dns_names),
        "ip_addresses": list(ip_addresses),
        "key_algorithm": own.algorithm,
        "key_size": own.size,
        "signature_algorithm": signs.name,
        "is_ca": ca,
    }
    return Issued(der, own, subject, usual | facts)
