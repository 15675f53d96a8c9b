"""A small CA and a server certificate with its key, as a customer would have them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.local.authority import pem_of

HOST = "shop.example.com"
CA_COMMON_NAME = "Example Inc Issuing CA"
ORGANIZATION = "Example Inc"
COUNTRY = "US"
CA_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """PEM texts: the certificate followed by its CA's, and the private key (PKCS#8)."""

    chain: str
    private_key: str = field(repr=False)
    subject: str
    fingerprint: str


def make_server_certificate(host: str = HOST) -> ServerCertificate:
    """Make a CA, forget its key, and return what it issued for `host`. EC P-256, RFC 5280."""
    now = datetime.now(UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _ca(ca_key, now)
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    leaf = (
        _builder(key, _name(host), ca.subject, now, LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    chain = leaf.public_bytes(Encoding.PEM) + ca.public_bytes(Encoding.PEM)
    return ServerCertificate(
        chain=chain.decode("ascii"),
        private_key=pem_of(key).decode("ascii"),
        subject=f"CN={host}, O={ORGANIZATION}, C={COUNTRY}",
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
    )


def _ca(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name(CA_COMMON_NAME)
    return (
        _builder(key, name, name, now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(key, hashes.SHA256())
    )


def _name(common_name: str) -> x509.Name:
    # Least specific first, as in the certificate; RFC 4514 shows them the other way round.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, COUNTRY),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    issuer: x509.Name,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + life)
        .add_extension(identifier, critical=False)
    )


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
