"""A private certificate authority for the stand-ins that must be reached over TLS.

The authority is kept in a folder, so that a client who read its certificate once still trusts a
stand-in that was restarted; the server's own certificate is made anew at every start.

Not promised: anything a public CA does. It signs for loopback and for the names it is told.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devcloud.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CA_FILE = "ca.pem"
_AUTHORITY_FILE = "authority.json"
_LIFETIME = dt.timedelta(days=397)
_CLOCK_SKEW = dt.timedelta(hours=1)
_LOOPBACK = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


@dataclass(frozen=True, slots=True)
class Leaf:
    """A server's certificate and private key, PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


class Authority:
    """Issues certificates; `ca_file` is what clients are given to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._certificate: x509.Certificate | None = None

    @property
    def ca_file(self) -> Path:
        """The authority's certificate, PEM; written by `open`."""
        return self._folder / CA_FILE

    def open(self) -> None:
        """Load the authority of the folder, or make one there. Raises ValueError, OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stored = read_json(self._folder / _AUTHORITY_FILE)
        if stored is None:
            self._create()
        else:
            key = serialization.load_pem_private_key(stored["key"].encode(), password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{self._folder / _AUTHORITY_FILE} holds a foreign kind of key")
            self._key = key
            self._certificate = x509.load_pem_x509_certificate(stored["certificate"].encode())
        assert self._certificate is not None
        self.ca_file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, names: Iterable[str]) -> Leaf:
        """A certificate for `localhost`, the loopback addresses and these DNS names."""
        if self._key is None or self._certificate is None:
            raise RuntimeError("the authority is not open")
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [x509.DNSName(name) for name in dict.fromkeys(("localhost", *names))]
        builder = _certificate("localhost", self._certificate.subject, key).add_extension(
            x509.SubjectAlternativeName(
                [*alternatives, *(x509.IPAddress(address) for address in _LOOPBACK)]
            ),
            critical=False,
        )
        certificate = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
            critical=False,
        ).sign(self._key, hashes.SHA256())
        return Leaf(certificate.public_bytes(serialization.Encoding.PEM), _private(key))

    def server_context(self, names: Iterable[str]) -> ssl.SSLContext:
        """A TLS context for a server of these names, with a leaf of its own."""
        leaf = self.issue(names)
        # The ssl module takes certificates from files only.
        path = self._folder / "server.pem"
        path.touch(mode=0o600)
        path.write_bytes(leaf.certificate + leaf.key)
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
        finally:
            path.unlink()
        return context

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "devcloud CA")])
        builder = _certificate("devcloud CA", name, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        self._key = key
        self._certificate = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
        pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        write_json(
            self._folder / _AUTHORITY_FILE,
            {"key": _private(key).decode(), "certificate": pem.decode()},
        )


def _certificate(
    common_name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
