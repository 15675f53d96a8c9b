"""Reads certificates, chains and private keys, and tells the sender what is wrong with them.

`CertificateReader` is what a service uses; `read_certificate` is the same without the processes.
No database, no gRPC, no clock: time is passed in.
"""

from services.secrets.certificates.material import CertificateMaterial
from services.secrets.certificates.metadata import CertificateMetadata, CertificateWarning
from services.secrets.certificates.read import SUPPORTED_TYPES, read_certificate
from services.secrets.certificates.reader import (
    CertificateReader,
    CertificateReaderFailed,
    CertificateReaderUnavailable,
)
from services.secrets.certificates.refusal import CertificateRefused

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
