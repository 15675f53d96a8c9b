"""The bytes that should be one certificate, whatever file they stood in."""

from typing import Final

from services.secrets.certificates.encodings import der
from services.secrets.certificates.encodings.ber import first_value, to_der
from services.secrets.certificates.facts.certificate import Certificate, load_certificate
from services.secrets.certificates.facts.spans import spans
from services.secrets.certificates.formats.other_kind import refused
from services.secrets.certificates.keys.structure import encode

_LONG_LENGTH: Final = 0x80
_CONSTRUCTED: Final = 0x20
_CLASSES: Final = 0x40
"""Tags from here on are of another class than universal."""

_TWO_OCTET_LENGTH: Final = b"\x30\x82"
"""How nearly every certificate begins: a SEQUENCE of 256 to 65,535 octets."""


def certificate_of(data: bytes) -> tuple[Certificate, bool]:
    """The certificate that `data` is, and whether it had to be turned from BER into DER to be read.

    What stands around the signed part is then in DER, as OpenSSL writes it too. The signed part stays as it
    was sent where its lengths are definite, since programs verify signatures over the octets that they
    get; else it is in DER, which a signature is made over (X.690 section 11).
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
        in_der = load_certificate(rewritten)
        return Certificate(_signed_as_sent(data, rewritten), in_der.parsed), True
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


def _signed_as_sent(data: bytes, rewritten: bytes) -> bytes:
    """`rewritten`, which is a certificate, with the signed part of `data` if its lengths are definite."""
    octets = data[1] & ~_LONG_LENGTH if data[1] & _LONG_LENGTH else 0
    inside = data[2 + octets :]
    _, rest = first_value(inside)
    signed = inside[: len(inside) - len(rest)]
    try:
        is_definite = _is_definite(signed)
    except ValueError:
        is_definite = False
    if not is_definite:
        return rewritten
    _, *others = der.sequence(rewritten)
    return encode(der.SEQUENCE, signed, *(other.encoded for other in others))


def _is_definite(data: bytes) -> bool:
    """Whether no length in it is indefinite and no string in segments. Raises ValueError likewise."""
    todo = [(0, len(data))]
    while todo:
        for tag, _, start, end in spans(data, *todo.pop()):
            if tag & _CONSTRUCTED:
                if tag < _CLASSES and tag not in (der.SEQUENCE, der.SET):
                    return False
                todo.append((start, end))
    return True


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
    if data[:2] == _TWO_OCTET_LENGTH and len(data) == 4 + int.from_bytes(data[2:4], "big"):
        return data, b""  # nothing follows most of them, and no more need be known
    try:
        _, rest = first_value(data)
    except ValueError:
        return data, b""
    return data[: len(data) - len(rest)], rest if rest.strip(der.PADDING) else b""
