"""The development CA of one data directory, and the certificates it gives our processes.

EC P-256, RFC 5280 profiles. Not for production: the CA's key lies beside the certificates, and
nothing is ever revoked. Certificates near their end are made anew at the next start; a new CA
makes all of them anew.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.local.files import write_private

CA_NAME = "Coffer development CA"
CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
CA_RENEW_BEFORE = LEAF_LIFE + RENEW_BEFORE
"""No leaf may outlive its CA."""
CLOCK_SKEW = timedelta(hours=1)
TRUST_DOMAIN = "spiffe://coffer"


@dataclass(frozen=True, slots=True)
class Identity:
    """The files one process proves itself with. Only paths: no key bytes."""

    cert_file: Path
    key_file: Path
    ca_file: Path


@dataclass(frozen=True, slots=True)
class _Issuer:
    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class DevelopmentPki:
    """The CA and certificates below one folder, all files 0600."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        """`now` is for asking what is due at another time. Reads and writes nothing yet."""
        self._folder = folder
        self._now = now or datetime.now(UTC)

    @property
    def ca_file(self) -> Path:
        """The CA certificate, PEM."""
        return self._folder / "ca.crt"

    def identity(self, name: str, spiffe_path: str) -> Identity:
        """The certificate `name` for `spiffe://coffer/<spiffe_path>`, made where it is due.

        Valid for server and client authentication, `localhost` and 127.0.0.1. Due: missing,
        damaged, of another CA, for another identity, key of another pair, or near its end.
        """
        identity = Identity(
            self._folder / f"{name}.crt", self._folder / f"{name}.key", self.ca_file
        )
        issuer = self._authority()
        uri = f"{TRUST_DOMAIN}/{spiffe_path}"
        if not self._is_good(identity, issuer, uri):
            key = ec.generate_private_key(ec.SECP256R1())
            _write_pair(identity.cert_file, identity.key_file, self._leaf(key, issuer, uri), key)
        return identity

    def identities(self, names: Iterable[str]) -> dict[str, Identity]:
        """One certificate for each service name."""
        return {name: self.identity(name, name) for name in names}

    def _authority(self) -> _Issuer:
        key_file = self._folder / "ca.key"
        try:
            found = _Issuer(*_read_pair(self.ca_file, key_file))
            if found.cert.not_valid_after_utc - self._now > CA_RENEW_BEFORE:
                return found
        except (OSError, ValueError):
            pass  # missing or half-written by a killed run: made below
        key = ec.generate_private_key(ec.SECP256R1())
        made = _Issuer(self._root(key), key)
        _write_pair(self.ca_file, key_file, made.cert, key)
        return made

    def _is_good(self, identity: Identity, issuer: _Issuer, uri: str) -> bool:
        try:
            cert, _ = _read_pair(identity.cert_file, identity.key_file)
            cert.verify_directly_issued_by(issuer.cert)
            names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, InvalidSignature, x509.ExtensionNotFound):
            return False
        same = names.get_values_for_type(x509.UniformResourceIdentifier) == [uri]
        return same and cert.not_valid_after_utc - self._now > RENEW_BEFORE

    def _root(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME)])
        builder = self._builder(key, name, name, CA_LIFE).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return builder.add_extension(_usage(signs_certificates=True), critical=True).sign(
            key, hashes.SHA256()
        )

    def _leaf(self, key: ec.EllipticCurvePrivateKey, issuer: _Issuer, uri: str) -> x509.Certificate:
        subject = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, uri.removeprefix("spiffe://"))]
        )
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(uri),
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
        ]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        return (
            self._builder(key, subject, issuer.cert.subject, LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(authority, critical=False)
            .sign(issuer.key, hashes.SHA256())
        )

    def _builder(
        self,
        key: ec.EllipticCurvePrivateKey,
        subject: x509.Name,
        issuer: x509.Name,
        life: timedelta,
    ) -> x509.CertificateBuilder:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - CLOCK_SKEW)
            .not_valid_after(self._now + life)
            .add_extension(identifier, critical=False)
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read_pair(
    cert_file: Path, key_file: Path
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != cert.public_key():
        raise ValueError("the key is not the certificate's")
    return cert, key


def _write_pair(
    cert_file: Path, key_file: Path, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    write_private(key_file, pem_of(key))
    write_private(cert_file, cert.public_bytes(serialization.Encoding.PEM))


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8 PEM without a passphrase: the file's mode is its protection."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
