"""The request fields, as bytes, after the checks that cost nothing."""

from collections.abc import Collection
from dataclasses import dataclass, field

from services.secrets.certificates.encodings.transfer import NO_CONTENT
from services.secrets.certificates.limits import (
    MAX_CONTENT_BYTES,
    MAX_PASSPHRASE_BYTES,
    MAX_PRIVATE_KEY_BYTES,
    encode,
)
from services.secrets.certificates.refusal import CertificateRefused


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, within the size limits and of a supported type; not looked into yet."""

    certificate_type: str
    content: bytes = field(repr=False)
    private_key: bytes | None = field(repr=False)
    passphrase: bytes | None = field(repr=False)


def check_sent(
    content: str,
    private_key: str | None,
    passphrase: str | None,
    certificate_type: str,
    supported: Collection[str],
) -> Sent:
    """Sizes, type and emptiness. An empty passphrase counts as none. Raises CertificateRefused."""
    if certificate_type not in supported:
        raise CertificateRefused(
            "certificate_type",
            None,
            f"certificate_type must be one of {', '.join(sorted(supported))}.",
        )
    sent = Sent(
        certificate_type,
        encode(content, "certificate_content", MAX_CONTENT_BYTES),
        _encode_optional(private_key),
        encode(passphrase, "passphrase", MAX_PASSPHRASE_BYTES) if passphrase else None,
    )
    if not content.strip(NO_CONTENT):
        raise CertificateRefused(
            "certificate_content", "empty", "certificate_content is empty: send the certificate."
        )
    return sent


def _encode_optional(private_key: str | None) -> bytes | None:
    if private_key is None:
        return None
    if not private_key.strip(NO_CONTENT):
        raise CertificateRefused(
            "private_key", "empty", "private_key is empty: send a private key or leave it out."
        )
    return encode(private_key, "private_key", MAX_PRIVATE_KEY_BYTES)
