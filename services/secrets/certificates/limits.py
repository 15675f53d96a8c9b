"""How much certificate material may be, and how much work it may ask for."""

from typing import Final

from services.secrets.certificates.refusal import CertificateRefused, Field

MAX_DECODED_BYTES: Final = 512 * 1024
"""Bytes of what `certificate_content` encodes, all its parts together (API.md section 4)."""

MAX_CONTENT_BYTES: Final = 720 * 1024
"""Bytes of `certificate_content` as sent: 512 KiB take 694 KiB in base64 with line breaks. Escaped in
JSON, with a private key beside it, that stays below the limit of a request's body."""

MAX_CERTIFICATES: Final = 100
"""Certificates in one file. Real chains have two to five, and the largest trust stores that servers are
given hold some 150 roots, which are no certificate of theirs."""

MAX_PRIVATE_KEYS: Final = 20
"""Private keys in one file. A keystore may have several; each costs a derivation and an RSA check."""

MAX_PRIVATE_KEY_BYTES: Final = 64 * 1024
"""Bytes of `private_key`; an encrypted RSA-8192 key takes 7 KiB."""

MAX_PASSPHRASE_BYTES: Final = 1024
"""Bytes of `passphrase` in UTF-8."""

MAX_KDF_ITERATIONS: Final = 1_000_000
"""Rounds of PBKDF2, or of the PBES1 derivation. OWASP's 2023 advice is 600,000; a key under five
million took 6.8 s with the GIL held, so an uncapped count is a denial of service."""

MAX_FILE_NANOSECONDS: Final = 1_500_000_000
"""Processor time that deriving keys for, and checking the keys of, one request may cost, at the prices in
keys/. 'openssl pkcs12 -export -iter 1000000 -legacy' takes all of it, and the dearest file stays below the
2 s of a worker."""

MAX_SCRYPT_BYTES: Final = 256 * 1024 * 1024
"""Memory (128 * N * r, RFC 7914) that opening an scrypt-protected key may take."""

MAX_SCRYPT_PARALLEL: Final = 16
"""The p of scrypt (RFC 7914): each is a further pass over that memory."""

MAX_RSA_PRIVATE_BITS: Final = 8192
"""Of an RSA key, and of the p of a DSA key. Beyond it even our cheap check of a key takes seconds, and
no public CA issues for one."""

MAX_DSA_SUBGROUP_BITS: Final = 512
"""The q of DSA; FIPS 186-4 ends at 256."""

MIN_RSA_BITS: Final = 2048
"""Below it (also for DSA) a key is weak: NIST SP 800-131A, CA/Browser baseline 6.1.5."""

MIN_EC_BITS: Final = 224
"""Below it a curve is weak: NIST SP 800-131A (112 bits of security)."""

EXPIRES_SOON_DAYS: Final = 30
"""API.md section 4, warning `expires_soon`."""


def encode(value: str, field: Field, limit: int) -> bytes:
    """The UTF-8 bytes of a field, exactly as sent.

    Raises CertificateRefused without a reason when longer than `limit` bytes, and with `malformed`
    for text that UTF-8 cannot hold (a lone surrogate).
    """
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise CertificateRefused(
            field, "malformed", f"{field} is not valid Unicode text."
        ) from None
    if len(encoded) > limit:
        raise CertificateRefused(
            field, None, f"{field} is {len(encoded)} bytes long; at most {limit} are accepted."
        )
    return encoded


def check_decoded(size: int) -> None:
    """Raises CertificateRefused when `certificate_content` holds more bytes than are accepted."""
    if size > MAX_DECODED_BYTES:
        raise CertificateRefused(
            "certificate_content",
            None,
            f"certificate_content holds {size} bytes; at most {MAX_DECODED_BYTES} are accepted.",
        )


def check_count(certificates: int) -> None:
    """Raises CertificateRefused when a file has more certificates than are accepted."""
    if certificates > MAX_CERTIFICATES:
        raise CertificateRefused(
            "certificate_content",
            None,
            f"certificate_content holds {certificates} certificates; at most {MAX_CERTIFICATES} are "
            "accepted. Send the leaf and its issuers only.",
        )


def check_keys(private_keys: int) -> None:
    """Raises CertificateRefused when a file has more private keys than are accepted."""
    if private_keys > MAX_PRIVATE_KEYS:
        raise CertificateRefused(
            "certificate_content",
            None,
            f"certificate_content holds {private_keys} private keys; at most {MAX_PRIVATE_KEYS} are "
            "accepted. Send a file with the leaf's key only.",
        )
