"""What a person wants to know about a private key that came alone (certificate_type `key`)."""

from collections.abc import Iterator

from services.secrets.certificates.facts.algorithms import describe_key, is_weak_key
from services.secrets.certificates.facts.metadata import CertificateMetadata, CertificateWarning
from services.secrets.certificates.keys.opening import OpenedKey
from services.secrets.certificates.limits import MIN_EC_BITS, MIN_RSA_BITS


def describe_key_alone(
    key: OpenedKey, *, has_passphrase: bool, warnings: tuple[CertificateWarning, ...] = ()
) -> CertificateMetadata:
    """The metadata of a key without a certificate: every fact that only a certificate has is None.

    The key's own warnings come first (`weak_key`, `legacy_encryption`, and `unreadable_field` for a
    kind of key that has no name here), then the given ones. Nothing of it is secret. Raises nothing.
    """
    algorithm, size = describe_key(key.public_key) or (None, None)
    return CertificateMetadata(
        subject=None,
        issuer=None,
        expires_at=None,
        has_private_key=True,
        has_passphrase=has_passphrase,
        not_before=None,
        serial_number=None,
        sha256_fingerprint=None,
        dns_names=(),
        ip_addresses=(),
        key_algorithm=algorithm,
        key_size=size,
        signature_algorithm=None,
        is_ca=None,
        chain_length=0,
        warnings=(*_warnings(key), *warnings),
    )


def _warnings(key: OpenedKey) -> Iterator[CertificateWarning]:
    if is_weak_key(key.public_key):
        yield CertificateWarning(
            "weak_key",
            f"The private key has fewer than {MIN_RSA_BITS} bits ({MIN_EC_BITS} on an elliptic curve).",
        )
    if key.encryption is not None and key.encryption.is_legacy:
        yield CertificateWarning(
            "legacy_encryption",
            f"The private key is protected by {key.encryption.name}, which is easily broken today.",
        )
    if describe_key(key.public_key) is None:
        yield CertificateWarning(
            "unreadable_field",
            "The key is stored, but its key_algorithm and key_size cannot be shown: its kind has no name "
            "here.",
        )
