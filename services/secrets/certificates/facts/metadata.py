"""What a person wants to know about a certificate, and nothing that has to be kept secret.

Each fact is read on its own: one that cannot be read, or has no form here, is None (an empty tuple for the
two lists) and adds a warning `unreadable_field`, as does one that is shown in part because it is too long: a
page of certificates must stay small. Nothing here checks that a certificate is trustworthy.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeVar

from services.secrets.certificates.facts import fields
from services.secrets.certificates.facts.algorithms import (
    UnknownAlgorithm,
    describe_public_key,
    signature_name,
)
from services.secrets.certificates.facts.alternative_names import (
    MAX_NAMES,
    MAX_NAMES_BYTES,
    AlternativeNames,
    alternative_names,
)
from services.secrets.certificates.facts.certificate import UNREADABLE, Certificate
from services.secrets.certificates.facts.not_shown import NotShown

__all__ = [
    "MAX_NAMES",
    "MAX_NAMES_BYTES",
    "MAX_TEXT_BYTES",
    "CertificateMetadata",
    "CertificateWarning",
    "LeafFacts",
    "WarningCode",
]

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

MAX_TEXT_BYTES: Final = 4 * 1024
"""Of `subject` and of `issuer`, in UTF-8."""
_MAX_NUMBERS: Final = 5


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


class LeafFacts:
    """Reads one certificate field by field; `unreadable` has a sentence for each that it could
    not, or not show."""

    def __init__(self, certificate: Certificate) -> None:
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
        algorithm, size = self._key()
        names = self._read("dns_names and ip_addresses", alternative_names) or AlternativeNames()
        return CertificateMetadata(
            subject=self._text("subject", fields.subject),
            issuer=self._text("issuer", fields.issuer),
            expires_at=self._read("expires_at", fields.expires_at),
            has_private_key=has_private_key,
            has_passphrase=has_passphrase,
            not_before=self._read("not_before", fields.not_before),
            serial_number=self._read("serial_number", fields.serial_number),
            sha256_fingerprint=hashlib.sha256(self._certificate.der).hexdigest(),
            dns_names=names.dns,
            ip_addresses=names.ip,
            key_algorithm=algorithm,
            key_size=size,
            signature_algorithm=self._read("signature_algorithm", signature_name),
            is_ca=self._read("is_ca", fields.is_ca),
            chain_length=chain_length,
            warnings=(*warnings, *self._said_unreadable(names.left_out)),  # the last: all were read
        )

    def _said_unreadable(self, left_out: int) -> list[CertificateWarning]:
        if left_out:
            self.unreadable.append(
                f"{left_out} of its dns_names and ip_addresses are left out here: unreadable, or beyond "
                "what is shown."
            )
        self._repeated()
        return [
            CertificateWarning("unreadable_field", f"The certificate is stored, but {what}")
            for what in self.unreadable
        ]

    def _key(self) -> tuple[str | None, int | None]:
        try:
            algorithm, size = describe_public_key(self._certificate)
        except UnknownAlgorithm as number:
            self.unreadable.append(
                f"its key_algorithm and key_size cannot be shown: {number} has no name here."
            )
            return None, None
        except UNREADABLE:
            self.unreadable.append("its key_algorithm and key_size could not be read.")
            return None, None
        if size is None:
            self.unreadable.append(
                f"its key_size cannot be shown: the {algorithm} key is damaged, or of a form or on a curve "
                "that is not known here."
            )
        return algorithm, size

    def _repeated(self) -> None:
        try:
            numbers = fields.repeated_extensions(self._certificate)
        except UNREADABLE:
            return  # the facts that come from extensions have said so
        if numbers:
            self.unreadable.append(
                f"it holds the extension {', '.join(numbers[:_MAX_NUMBERS])} more than once, which "
                "many programs refuse."
            )

    def _read(self, name: str, read: Callable[[Certificate], Value]) -> Value | None:
        try:
            return read(self._certificate)
        except NotShown as cause:
            self.unreadable.append(f"its {name} cannot be shown: {cause}.")
            return None
        except UNREADABLE:
            self.unreadable.append(f"its {name} could not be read.")
            return None

    def _text(self, name: str, read: Callable[[Certificate], str]) -> str | None:
        whole = self._read(name, read)
        if whole is None or len(encoded := whole.encode()) <= MAX_TEXT_BYTES:
            return whole
        self.unreadable.append(f"its {name} is too long and cut here.")
        return encoded[:MAX_TEXT_BYTES].decode(errors="ignore") + "…"
