"""certificate_type `pem`: certificates, and possibly the private key, as PEM text (RFC 7468)."""

from typing import Final

from services.secrets.certificates.contents import Contents
from services.secrets.certificates.encodings.armor import PemBlock, PemFault, scan
from services.secrets.certificates.encodings.looks_like import NOTHING_KNOWN, looks_like
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.facts.certificate import Certificate, load_certificate
from services.secrets.certificates.keys.opening import open_key
from services.secrets.certificates.limits import MAX_DECODED_BYTES
from services.secrets.certificates.refusal import CertificateRefused, Reason

_FIELD: Final = "certificate_content"
_MISLEADING: Final = frozenset({"TRUSTED CERTIFICATE", "OPENSSH PRIVATE KEY", "PKCS7", "CMS"})
"""Blocks that hold a certificate or key which the metadata would then keep quiet about."""


def read_pem(opened: Opened, passphrase: bytes | None) -> Contents:
    """Every CERTIFICATE block in order, and the one private key if there is one.

    Parameters, requests and revocation lists beside them are kept in the text and not looked at.
    Raises CertificateRefused.
    """
    text = opened.text or ""
    try:
        blocks = scan(text)
    except PemFault as fault:
        raise _refused(fault.reason, fault.message) from None
    found = [block for block in blocks if block.is_certificate]
    misleading = [block for block in blocks if block.label in _MISLEADING]
    if misleading or not found:
        raise _without_certificate(text, misleading or blocks)
    keys = [block for block in blocks if block.is_private_key]
    if len(keys) > 1:
        raise _refused(
            "invalid_private_key", f"certificate_content holds {len(keys)} private keys; send one."
        )
    _refuse_too_much(blocks)
    certificates = tuple(
        _certificate(block, number, len(found)) for number, block in enumerate(found, start=1)
    )
    return Contents(certificates, tuple(open_key(key, passphrase, _FIELD) for key in keys))


def _refuse_too_much(blocks: list[PemBlock]) -> None:
    """By the length of the base64, so that nothing is decoded in vain."""
    size = sum(len("".join(block.body.split()).rstrip("=")) * 3 // 4 for block in blocks)
    if size > MAX_DECODED_BYTES:
        raise CertificateRefused(
            "certificate_content",
            None,
            f"certificate_content holds {size} bytes; at most {MAX_DECODED_BYTES} are accepted.",
        )


def _certificate(block: PemBlock, number: int, total: int) -> Certificate:
    which = "The certificate" if total == 1 else f"Certificate {number} of {total}"
    try:
        return load_certificate(block.decoded())
    except PemFault as fault:
        raise _refused(fault.reason, fault.message) from None
    except ValueError:
        raise _refused(
            "malformed",
            f"{which} (line {block.line}) is valid base64 but no X.509 certificate: it was cut or "
            "changed on the way. Copy it again, whole.",
        ) from None


def _without_certificate(text: str, blocks: list[PemBlock]) -> CertificateRefused:
    guess = looks_like(text, blocks)
    if guess == NOTHING_KNOWN and blocks:
        return _refused(
            "no_certificate",
            "certificate_content is PEM but has no CERTIFICATE block ('-----BEGIN CERTIFICATE').",
        )
    return _refused(
        "not_this_format",
        f"certificate_content is not a PEM certificate: it looks like {guess}. "
        "With certificate_type 'pem' send text with '-----BEGIN CERTIFICATE-----'.",
    )


def _refused(reason: Reason, message: str) -> CertificateRefused:
    return CertificateRefused("certificate_content", reason, message)
