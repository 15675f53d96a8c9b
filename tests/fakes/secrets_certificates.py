"""The real reading of certificates, in this process: quick, and good enough for honest input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.secrets.certificates import read_certificate

if TYPE_CHECKING:
    from datetime import datetime

    from services.secrets.certificates import CertificateMaterial


class InlineCertificates:
    """`ports.Certificates` without another process."""

    async def read(
        self,
        content: str,
        private_key: str | None,
        passphrase: str | None,
        certificate_type: str,
        now: datetime,
    ) -> CertificateMaterial:
        return read_certificate(content, private_key, passphrase, certificate_type, now)
