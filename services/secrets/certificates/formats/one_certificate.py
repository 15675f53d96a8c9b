"""The bytes that should be one certificate, whatever file they stood in."""

from services.secrets.certificates.encodings import der
from services.secrets.certificates.encodings.ber import first_value, to_der
from services.secrets.certificates.facts.certificate import Certificate, load_certificate
from services.secrets.certificates.formats.other_kind import refused


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
    """The one structure that a binary file is, as it stands, without the padding behind it.

    Data that cannot be measured are returned whole, for the parser to say what is wrong. Raises
    CertificateRefused when other bytes follow.
    """
    structure, rest = split_padding(data)
    if rest:
        raise refused(
            "malformed",
            f"{len(rest)} bytes follow the end of the structure, and a binary file holds one only. "
            "Send several certificates as PEM, or as PKCS#7.",
        )
    return structure


def split_padding(data: bytes) -> tuple[bytes, bytes]:
    """The first structure as it stands, and the bytes that follow it unless they are padding only."""
    try:
        _, rest = first_value(data)
    except ValueError:
        return data, b""
    return data[: len(data) - len(rest)], rest if rest.strip(der.PADDING) else b""
