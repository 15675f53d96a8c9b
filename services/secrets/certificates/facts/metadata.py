"""What a person wants to know about a certificate, and nothing that has to be kept secret.

Each fact is read on its own: one that cannot be read is None (an empty tuple for the two lists)
and adds a warning `unreadable_field`, as does one that is shown in part because it is too long: a page of
certificates must stay small whatever they hold. Nothing here checks that a certificate is trustworthy.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from services.secrets.certificates.facts.algorithms import describe_key, signature_name
from services.secrets.certificates.facts.names import display_name, storable

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

MAX_NAMES: Final = 500
"""Of `dns_names` and `ip_addresses` together. Public CAs issue for at most 100 to 250 names."""
MAX_NAMES_BYTES: Final = 64 * 1024
"""Of the same, in UTF-8: a DNS name has at most 253 octets (RFC 1035), a crafted one any number."""
MAX_TEXT_BYTES: Final = 4 * 1024
"""Of `subject` and of `issuer`, in UTF-8."""
MAX_SERIAL_OCTETS: Final = 64
"""RFC 5280 section 4.1.2.2 allows 20; some issuers use more."""

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

    A private key alone has `key_algorithm` and `key_size`; the rest is null, empty or 0.

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
    sha256_fingerprint: str | None
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


@dataclass(frozen=True, slots=True)
class _Names:
    """The alternative names that are shown, and how many are not."""

    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    left_out: int = 0


class LeafFacts:
    """Reads one certificate field by field; `unreadable` has a sentence for each that it could not."""

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
        names = self._read("dns_names, ip_addresses", lambda: _alternative_names(leaf)) or _Names()
        facts = CertificateMetadata(
            subject=self._text("subject", lambda: display_name(leaf.subject)),
            issuer=self._text("issuer", lambda: display_name(leaf.issuer)),
            expires_at=self._read("expires_at", lambda: leaf.not_valid_after_utc),
            has_private_key=has_private_key,
            has_passphrase=has_passphrase,
            not_before=self._read("not_before", lambda: leaf.not_valid_before_utc),
            serial_number=self._read("serial_number", lambda: _serial_number(leaf)),
            sha256_fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
            dns_names=names.dns,
            ip_addresses=names.ip,
            key_algorithm=key[0],
            key_size=key[1],
            signature_algorithm=self._read("signature_algorithm", lambda: signature_name(leaf)),
            is_ca=self._read("is_ca", lambda: is_ca(leaf)),
            chain_length=chain_length,
            warnings=warnings,
        )
        if names.left_out:
            self.unreadable.append(
                f"{names.left_out} of its dns_names and ip_addresses are left out here."
            )
        return replace(facts, warnings=(*warnings, *map(_unreadable, self.unreadable)))

    def _read(self, name: str, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except UNREADABLE:
            self.unreadable.append(f"its {name} could not be read.")
            return None

    def _text(self, name: str, read: Callable[[], str]) -> str | None:
        whole = self._read(name, read)
        if whole is None or len(encoded := whole.encode()) <= MAX_TEXT_BYTES:
            return whole
        self.unreadable.append(f"its {name} is too long and cut here.")
        return encoded[:MAX_TEXT_BYTES].decode(errors="ignore") + "…"


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
    octets = max(1, (number.bit_length() + 7) // 8)
    if octets > MAX_SERIAL_OCTETS:
        raise ValueError("far beyond RFC 5280 section 4.1.2.2")
    return number.to_bytes(octets, "big").hex()


def _alternative_names(certificate: x509.Certificate) -> _Names:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return _Names()
    dns = found.get_values_for_type(x509.DNSName)
    ip = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    room = MAX_NAMES_BYTES
    kept = 0
    for name in [*dns, *ip][:MAX_NAMES]:
        room -= len(name.encode())
        if room < 0:
            break
        kept += 1
    return _Names(
        tuple(map(storable, dns[:kept])),
        tuple(ip[: max(0, kept - len(dns))]),
        len(dns) + len(ip) - kept,
    )


def _unreadable(what: str) -> CertificateWarning:
    return CertificateWarning("unreadable_field", f"The certificate is stored, but {what}")
