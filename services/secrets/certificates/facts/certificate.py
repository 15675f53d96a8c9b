"""One certificate, as far as it can be read."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate's DER as it came, and what the library made of it."""

    der: bytes
    parsed: x509.Certificate


def load_certificate(data: bytes) -> Certificate:
    """The certificate in `data`, which is nothing but its DER. Raises ValueError when it is none."""
    try:
        return Certificate(data, x509.load_der_x509_certificate(data))
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise ValueError("no X.509 certificate") from None
