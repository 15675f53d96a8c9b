"""certificate_type `pem`: certificates, and possibly the private key, as PEM text (RFC 7468)."""

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from services.secrets.certificates.armor import PemBlock, PemFault, scan
from services.secrets.certificates.contents import Contents
from services.secrets.certificates.keys import OpenedKey, open_key
from services.secrets.certificates.limits import MAX_DECODED_BYTES
from services.secrets.certificates.looks_like import NOTHING_KNOWN, looks_like
from services.secrets.certificates.refusal import CertificateRefused, Reason

_MISLEADING: Final = frozenset({"TRUSTED CERTIFICATE", "OPENSSH PRIVATE KEY", "PKCS7", "CMS"})
"""Blocks that hold a certificate or key which the metadata would then keep quiet about."""


def read_pem(text: str, passphrase: bytes | None) -> Contents:
    """Every CERTIFICATE block in order, and the one private key if there is one.

    Parameters, requests and revocation lists beside them are kept in the text and not looked at.
    Raises CertificateRefused.
    """
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
    return Contents(certificates, _key(keys, passphrase))


def _refuse_too_much(blocks: list[PemBlock]) -> None:
    """By the length of the base64, so that nothing is decoded in vain."""
    size = sum(len("".join(block.body.split()).rstrip("=")) * 3 // 4 for block in blocks)
    if size > MAX_DECODED_BYTES:
        raise CertificateRefused(
            "certificate_content",
            None,
            f"certificate_content holds {size} bytes; at most {MAX_DECODED_BYTES} are accepted.",
        )


def _key(blocks: list[PemBlock], passphrase: bytes | None) -> OpenedKey | None:
    return open_key(blocks[0], passphrase, "certificate_content") if blocks else None


def _certificate(block: PemBlock, number: int, total: int) -> x509.Certificate:
    which = "The certificate" if total == 1 else f"Certificate {number} of {total}"
    try:
        return x509.load_der_x509_certificate(block.decoded())
    except PemFault as fault:
        raise _refused(fault.reason, fault.message) from None
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm):
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
