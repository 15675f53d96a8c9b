"""The bytes that should be one certificate, whatever file they stood in."""

from typing import Final

from services.secrets.certificates.encodings.ber import first_value, to_der
from services.secrets.certificates.facts.certificate import Certificate, load_certificate
from services.secrets.certificates.formats.other_kind import refused

_PADDING: Final = b"\0\r\n"
"""What editors, `echo` and the fixed-size files of smart cards leave behind a structure."""


def certificate_of(data: bytes) -> tuple[Certificate, bool]:
    """The certificate that `data` is, and whether it had to be turned from BER into DER for that.

    A signature is made over DER (X.690 section 11), so it holds for the rewritten certificate too.
    Raises ValueError when it is none.
    """
    try:
        certificate = load_certificate(data)
    except ValueError:
        certificate = None
    if certificate is not None and certificate.parsed is not None:
        return certificate, False
    rewritten = _rewritten(data)
    if rewritten is not None:
        return load_certificate(rewritten), True
    if certificate is None:
        raise ValueError("no X.509 certificate")
    return certificate, False


def _rewritten(data: bytes) -> bytes | None:
    """The same in DER; None when it is that already, or no BER either."""
    try:
        rewritten = to_der(data)
    except ValueError:
        return None
    return None if rewritten == data else rewritten


def without_padding(data: bytes) -> bytes:
    """The one structure that a binary file is, as it stands, without line breaks or NULs behind it.

    Data that cannot be measured are returned whole, for the parser to say what is wrong. Raises
    CertificateRefused when other bytes follow.
    """
    try:
        _, rest = first_value(data)
    except ValueError:
        return data
    if rest.strip(_PADDING):
        raise refused(
            "malformed",
            f"{len(rest)} bytes follow the end of the structure, and a binary file holds one only. "
            "Send several certificates as PEM, or as PKCS#7.",
        )
    return data[: len(data) - len(rest)]
