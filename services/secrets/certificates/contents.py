"""What every reader of a format (PEM today; PKCS#7, PKCS#12, DER later) hands over."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from services.secrets.certificates.keys import OpenedKey


@dataclass(frozen=True, slots=True)
class Contents:
    """At least one certificate, in the order in which they came, and the private key if
    `certificate_content` itself held one. Nothing in it is secret."""

    certificates: tuple[x509.Certificate, ...]
    key: OpenedKey | None


ContentReader = Callable[[str, bytes | None], Contents]
"""(`certificate_content`, passphrase) to Contents; raises CertificateRefused and nothing else."""
