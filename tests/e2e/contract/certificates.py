"""Certificates with the facts of the wire contract's example."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

FRESH = timedelta(days=90)
"""Long enough not to be warned of."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM texts, and what a reader has to find in them."""

    pem: str
    private_key: str = field(repr=False)
    not_before: datetime
    not_after: datetime
    serial_number: int
    fingerprint: str


def self_signed(life: timedelta) -> Certificate:
    """CN=example.com, O=Example Inc, C=US with an RSA key of 2,048 bits (PKCS#8)."""
    now = datetime.now(UTC).replace(microsecond=0)
    key = rsa.generate_private_key(65537, 2048)
    # Least specific first, as certificates have it.
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Inc"),
        x509.NameAttribute(NameOID.COMMON_NAME, "example.com"),
    ]
    names = [x509.DNSName("example.com"), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(parts))
        .issuer_name(x509.Name(parts))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate(
        pem=made.public_bytes(Encoding.PEM).decode("ascii"),
        private_key=pem.decode("ascii"),
        not_before=made.not_valid_before_utc,
        not_after=made.not_valid_after_utc,
        serial_number=made.serial_number,
        fingerprint=made.fingerprint(hashes.SHA256()).hex(),
    )
