"""Reads certificates, chains and private keys, and tells the sender what is wrong with them.

`CertificateReader` is what a service uses; `read_certificate` is the same without the processes.
No database, no gRPC, no clock: time is passed in.
"""

from services.secrets.certificates.facts.metadata import CertificateMetadata, CertificateWarning
from services.secrets.certificates.material import CertificateMaterial
from services.secrets.certificates.read import SUPPORTED_TYPES, read_certificate
from services.secrets.certificates.refusal import CertificateRefused
from services.secrets.certificates.workers.reader import (
    CertificateReader,
    CertificateReaderFailed,
    CertificateReaderUnavailable,
)

__all__ = [
    "SUPPORTED_TYPES",
    "CertificateMaterial",
    "CertificateMetadata",
    "CertificateReader",
    "CertificateReaderFailed",
    "CertificateReaderUnavailable",
    "CertificateRefused",
    "CertificateWarning",
    "read_certificate",
]
