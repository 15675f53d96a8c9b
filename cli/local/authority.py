"""A private CA in two files, and the certificates it gives: EC P-256, RFC 5280 profiles.

Not for production: the CA's key lies on the same machine, and nothing is ever revoked. What is good is
kept, what is due is made anew; a new CA makes all of its certificates anew.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.local.files import write_private

if TYPE_CHECKING:
    from pathlib import Path

CA_NAME = "Coffer development CA"
CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
CA_RENEW_BEFORE = LEAF_LIFE + RENEW_BEFORE
"""No leaf may outlive its CA."""
CLOCK_SKEW = timedelta(hours=1)
MAX_COMMON_NAME = 64
"""ub-common-name of RFC 5280, appendix A.1."""


@dataclass(frozen=True, slots=True)
class LeafNames:
    """Whom a certificate is for: an identity as URI SAN if any, and where it is reached."""

    uri: str | None
    dns: tuple[str, ...]
    addresses: tuple[str, ...]

    def are_in(self, found: LeafNames) -> bool:
        """Whether a certificate with the names `found` serves: the same identity, every host."""
        hosts = set(self.dns) <= set(found.dns) and set(self.addresses) <= set(found.addresses)
        return hosts and self.uri == found.uri

    def with_hosts_of(self, found: LeafNames) -> LeafNames:
        """These names and the hosts of `found`, each once."""
        return replace(
            self,
            dns=tuple(dict.fromkeys((*self.dns, *found.dns))),
            addresses=tuple(dict.fromkeys((*self.addresses, *found.addresses))),
        )


@dataclass(frozen=True, slots=True)
class _Issuer:
    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Authority:
    """The CA of one certificate file and one key file, all files 0600."""

    def __init__(self, cert_file: Path, key_file: Path, *, now: datetime | None = None) -> None:
        """`now` is for asking what is due at another time. Reads and writes nothing yet."""
        self.cert_file = cert_file
        self._key_file = key_file
        self._now = now or datetime.now(UTC)

    def ensure(self, cert_file: Path, key_file: Path, names: LeafNames) -> bool:
        """Make the certificate and key where they are due; whether they were made.

        Valid as a client, and where it names a host as a server. Due: missing, damaged, of another CA, for
        another identity, without one of the hosts, key of another pair, or near its end. Hosts
        that the old certificate had beyond `names` are kept. Raises OSError.
        """
        issuer = self._issuer()
        found = _found(cert_file, key_file)
        held = None if found is None else _names(found)
        if found is not None and held is not None and held.uri == names.uri:
            if names.are_in(held) and self._is_fresh(found, issuer):
                return False
            names = names.with_hosts_of(held)
        key = ec.generate_private_key(ec.SECP256R1())
        _write_pair(cert_file, key_file, self._leaf(key, issuer, names), key)
        return True

    def _issuer(self) -> _Issuer:
        """The CA, made when it is missing, damaged or near its end. Raises OSError."""
        found = _found_pair(self.cert_file, self._key_file)
        if found is not None and found.cert.not_valid_after_utc - self._now > CA_RENEW_BEFORE:
            return found
        key = ec.generate_private_key(ec.SECP256R1())
        made = _Issuer(self._root(key), key)
        _write_pair(self.cert_file, self._key_file, made.cert, key)
        return made

    def _is_fresh(self, found: x509.Certificate, issuer: _Issuer) -> bool:
        try:
            found.verify_directly_issued_by(issuer.cert)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return found.not_valid_after_utc - self._now > RENEW_BEFORE

    def _root(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        name = _common_name(CA_NAME)
        builder = self._builder(key, name, name, CA_LIFE).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return builder.add_extension(_usage(signs_certificates=True), critical=True).sign(
            key, hashes.SHA256()
        )

    def _leaf(
        self, key: ec.EllipticCurvePrivateKey, issuer: _Issuer, names: LeafNames
    ) -> x509.Certificate:
        title = names.dns[0] if names.uri is None else names.uri.removeprefix("spiffe://")
        alternative: list[x509.GeneralName] = [
            *([] if names.uri is None else [x509.UniformResourceIdentifier(names.uri)]),
            *(x509.DNSName(name) for name in names.dns),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in names.addresses),
        ]
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if names.dns or names.addresses:
            uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        return (
            self._builder(key, _common_name(title), issuer.cert.subject, LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
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


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """PKCS#8 PEM without a passphrase: the file's mode is its protection."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:MAX_COMMON_NAME])])


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


def _names(cert: x509.Certificate) -> LeafNames | None:
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) > 1:
        return None
    return LeafNames(
        uri=uris[0] if uris else None,
        dns=tuple(found.get_values_for_type(x509.DNSName)),
        addresses=tuple(str(one) for one in found.get_values_for_type(x509.IPAddress)),
    )


def _found(cert_file: Path, key_file: Path) -> x509.Certificate | None:
    pair = _found_pair(cert_file, key_file)
    return None if pair is None else pair.cert


def _found_pair(cert_file: Path, key_file: Path) -> _Issuer | None:
    """What the two files hold; None when missing or half-written by a killed run."""
    try:
        cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != cert.public_key():
        return None
    return _Issuer(cert, key)


def _write_pair(
    cert_file: Path, key_file: Path, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    write_private(key_file, pem_of(key))
    write_private(cert_file, cert.public_bytes(serialization.Encoding.PEM))
