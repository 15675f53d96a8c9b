"""What a person wants to know about a certificate, and nothing that has to be kept secret.

Each fact is read on its own: one that cannot be read is None (an empty tuple for the two lists)
and adds a warning `unreadable_field`. Nothing here checks that a certificate is trustworthy.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from services.secrets.certificates.algorithms import describe_key, signature_name
from services.secrets.certificates.names import display_name, storable

WarningCode = Literal[
    "expired",
    "not_yet_valid",
    "expires_soon",
    "weak_key",
    "weak_signature",
    "incomplete_chain",
    "chain_out_of_order",
    "self_signed",
    "legacy_encryption",
    "ber_encoding",
    "unreadable_field",
]
"""The codes of API.md section 4."""

Json = dict[str, "str | int | bool | list[str] | list[dict[str, str]] | None"]
Value = TypeVar("Value")

UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound)
"""What `cryptography` raises for a field it cannot make sense of (all seen, or in its source)."""


@dataclass(frozen=True, slots=True)
class CertificateWarning:
    """A fact that a person should know; it never stops the material from being stored."""

    code: WarningCode
    message: str


@dataclass(frozen=True, slots=True)
class CertificateMetadata:
    """The facts about the leaf, and about the whole of what was sent. All of it is public.

    Warnings were true at the moment of reading; they do not change as the certificate ages.
    `chain_length` counts the certificates that were sent, the leaf included.
    """

    subject: str | None
    issuer: str | None
    expires_at: datetime | None
    has_private_key: bool
    has_passphrase: bool
    not_before: datetime | None
    serial_number: str | None
    sha256_fingerprint: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    key_algorithm: str | None
    key_size: int | None
    signature_algorithm: str | None
    is_ca: bool | None
    chain_length: int
    warnings: tuple[CertificateWarning, ...]

    def to_json(self) -> Json:
        """The `metadata` object of API.md section 4: every member present, in its order."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "expires_at": _rfc3339(self.expires_at),
            "has_private_key": self.has_private_key,
            "has_passphrase": self.has_passphrase,
            "not_before": _rfc3339(self.not_before),
            "serial_number": self.serial_number,
            "sha256_fingerprint": self.sha256_fingerprint,
            "dns_names": list(self.dns_names),
            "ip_addresses": list(self.ip_addresses),
            "key_algorithm": self.key_algorithm,
            "key_size": self.key_size,
            "signature_algorithm": self.signature_algorithm,
            "is_ca": self.is_ca,
            "chain_length": self.chain_length,
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
        }


def _rfc3339(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    shown = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{shown}Z"


class LeafFacts:
    """Reads one certificate field by field; `unreadable` collects the fields that could not be."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self._certificate = certificate
        self.unreadable: list[str] = []

    def describe(
        self,
        *,
        has_private_key: bool,
        has_passphrase: bool,
        chain_length: int,
        warnings: tuple[CertificateWarning, ...],
    ) -> CertificateMetadata:
        """The metadata: the given warnings first, then one per unreadable field."""
        leaf = self._certificate
        key = self._read("key_algorithm", lambda: _key(leaf)) or (None, None)
        names = self._read("dns_names, ip_addresses", lambda: _alternative_names(leaf)) or ((), ())
        facts = CertificateMetadata(
            subject=self._read("subject", lambda: display_name(leaf.subject)),
            issuer=self._read("issuer", lambda: display_name(leaf.issuer)),
            expires_at=self._read("expires_at", lambda: leaf.not_valid_after_utc),
            has_private_key=has_private_key,
            has_passphrase=has_passphrase,
            not_before=self._read("not_before", lambda: leaf.not_valid_before_utc),
            serial_number=self._read("serial_number", lambda: _serial_number(leaf)),
            sha256_fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
            dns_names=names[0],
            ip_addresses=names[1],
            key_algorithm=key[0],
            key_size=key[1],
            signature_algorithm=self._read("signature_algorithm", lambda: signature_name(leaf)),
            is_ca=self._read("is_ca", lambda: is_ca(leaf)),
            chain_length=chain_length,
            warnings=warnings,
        )
        return replace(facts, warnings=(*warnings, *map(_unreadable, self.unreadable)))

    def _read(self, name: str, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except UNREADABLE:
            self.unreadable.append(name)
            return None


def is_ca(certificate: x509.Certificate) -> bool:
    """RFC 5280 section 4.2.1.9: without basic constraints it is none. Raises one of UNREADABLE."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    described = describe_key(certificate.public_key())
    if described is None:
        raise ValueError("a kind of key that has no name here")
    return described


def _serial_number(certificate: x509.Certificate) -> str:
    """Whole octets, as openssl, browsers and certificate transparency logs show it."""
    number = certificate.serial_number
    if number < 0:
        raise ValueError("negative, against RFC 5280 section 4.1.2.2")
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big").hex()


def _alternative_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    dns = tuple(storable(name) for name in found.get_values_for_type(x509.DNSName))
    return dns, tuple(str(address) for address in found.get_values_for_type(x509.IPAddress))


def _unreadable(name: str) -> CertificateWarning:
    return CertificateWarning(
        "unreadable_field", f"The certificate is stored, but its {name} could not be read."
    )
