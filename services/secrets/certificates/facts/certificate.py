"""One certificate, as far as it can be read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from services.secrets.certificates.encodings.ber import to_der
from services.secrets.certificates.facts.structure import Structure, read_structure

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for a field it cannot make sense of (all seen, or in its source)."""


@dataclass(frozen=True, eq=False)  # no slots: what is read once is kept
class Certificate:
    """The certificate's DER as it came, and what the library made of it: None for one it refuses."""

    der: bytes
    parsed: x509.Certificate | None

    @cached_property
    def structure(self) -> Structure:
        """Its parts by our own reading. Raises ValueError when a part is missing."""
        return read_structure(self.der)

    @cached_property
    def extensions(self) -> list[tuple[str, bytes]]:
        """As `Structure.extensions`. Raises ValueError."""
        return self.structure.extensions()

    @cached_property
    def public_key(self) -> PublicKeyTypes | None:
        """None for a kind of key that the library does not know, or a damaged one."""
        try:
            if self.parsed is not None:
                return self.parsed.public_key()
            return load_der_public_key(to_der(self.structure.key))
        except UNREADABLE:
            return None


def load_certificate(data: bytes) -> Certificate:
    """The certificate in `data`, which is nothing but its DER. Raises ValueError when it is none.

    Promised is the outer structure of RFC 5280 section 4.1, and that the elements inside it end where they
    say: what was cut or spliced is no certificate. What an element holds may be unreadable.
    """
    try:
        return Certificate(data, x509.load_der_x509_certificate(data))
    except UNREADABLE:
        certificate = Certificate(data, None)
    try:
        _ = certificate.structure
        to_der(data)  # goes through all of it, to the end of every element
    except ValueError:
        raise ValueError("no X.509 certificate") from None
    return certificate
