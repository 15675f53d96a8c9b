"""Certificate files as a CA and OpenSSL write them: RSA-2048 throughout, which most of them are today."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSPHRASE: Final = "benchmark"
ROUNDS: Final = 2048
"""Of PBKDF2: what OpenSSL 3 writes unless told otherwise."""
BITS: Final = 2048
LIFE: Final = timedelta(days=90)
NAMES: Final = ("example.com", "www.example.com", "api.example.com")


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """What is sent for it; `data` is the file's own bytes, which the bare library is given."""

    name: str
    certificate_type: str
    content: str = field(repr=False)
    data: bytes = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)
    leaf_at: int = 0
    """Where the leaf is in what the library makes of it (PKCS#7 is a set, ordered by its bytes)."""

    def as_order(self) -> dict[str, str | int | None]:
        """For a child process, as JSON."""
        return {
            "name": self.name,
            "certificate_type": self.certificate_type,
            "content": self.content,
            "data": base64.b64encode(self.data).decode(),
            "passphrase": self.passphrase,
            "leaf_at": self.leaf_at,
        }


@dataclass(frozen=True, slots=True)
class _Issued:
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)


def make_files() -> list[CertificateFile]:
    """One file of each format, all of the same leaf. Takes some seconds: three RSA keys."""
    root = _issue("Benchmark Root", None, ca=True)
    middle = _issue("Benchmark Issuing CA", root, ca=True)
    leaf = _issue(NAMES[0], middle, ca=False)
    chain = [leaf.certificate, middle.certificate, root.certificate]
    single = leaf.certificate.public_bytes(Encoding.PEM)
    whole = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    p12 = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(ROUNDS)
    pfx = pkcs12.serialize_key_and_certificates(
        b"leaf", leaf.key, chain[0], chain[1:], p12.build(PASSPHRASE.encode())
    )
    key = leaf.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode())
    )
    der = chain[0].public_bytes(Encoding.DER)
    p7b = pkcs7.serialize_certificates(chain, Encoding.DER)
    return [
        CertificateFile("pem, one certificate", "pem", single.decode(), single),
        CertificateFile("pem, chain of 3", "pem", whole.decode(), whole),
        CertificateFile("crt, DER", "crt", base64.b64encode(der).decode(), der),
        CertificateFile(
            "pkcs7, DER, 3",
            "pkcs7",
            base64.b64encode(p7b).decode(),
            p7b,
            leaf_at=pkcs7.load_der_pkcs7_certificates(p7b).index(chain[0]),
        ),
        CertificateFile("pfx, 3 and a key", "pfx", base64.b64encode(pfx).decode(), pfx, PASSPHRASE),
        CertificateFile("key, encrypted", "key", key.decode(), key, PASSPHRASE),
    ]


def _issue(common_name: str, by: _Issued | None, *, ca: bool) -> _Issued:
    key = rsa.generate_private_key(65537, BITS)
    name = _name(common_name)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.certificate.subject if by else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
    )
    signer = by.key if by else key
    for extension, critical in _extensions(key, signer, ca=ca):
        builder = builder.add_extension(extension, critical)
    return _Issued(builder.sign(signer, hashes.SHA256()), key)


def _extensions(
    key: rsa.RSAPrivateKey, signer: rsa.RSAPrivateKey, *, ca: bool
) -> Sequence[tuple[x509.ExtensionType, bool]]:
    common: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=None), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
    ]
    if ca:
        return common
    return [
        *common,
        (x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ]


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Inc"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
