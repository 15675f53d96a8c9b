"""The intake's own reading of a certificate, here on this machine: nothing is stored, nothing contacted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.secrets.certificates import CertificateReader

if TYPE_CHECKING:
    from datetime import datetime

    from cli.stored.certificates.gathering import Given
    from services.secrets.certificates import CertificateMaterial


def read_here(given: Given, now: datetime) -> CertificateMaterial:
    """Read in a process of its own, within seconds of processor time, so that no file can hang or crash us.

    Raises CertificateRefused, CertificateReaderUnavailable, CertificateReaderFailed.
    """
    return asyncio.run(_read(given, now))


async def _read(given: Given, now: datetime) -> CertificateMaterial:
    reader = CertificateReader(workers=1)
    await reader.start()
    try:
        return await reader.read(
            given.content, given.private_key, given.passphrase, given.certificate_type, now
        )
    finally:
        await reader.aclose()
