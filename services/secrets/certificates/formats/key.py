"""certificate_type `key`: one private key alone, in PEM or in DER (RFC 5958, RFC 8017, RFC 5915)."""

from typing import Final

from services.secrets.certificates.contents import Contents
from services.secrets.certificates.encodings.armor import MISLEADING_LABELS
from services.secrets.certificates.encodings.outline import shape_of
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.formats.other_kind import (
    Declared,
    no_such_structure,
    other_kind,
    refused,
)
from services.secrets.certificates.formats.pem import blocks_of, keys_of
from services.secrets.certificates.keys.encryption import Budget
from services.secrets.certificates.keys.opening import OpenedKey, open_key_der
from services.secrets.certificates.keys.structure import is_whole_key

_FIELD: Final = "certificate_content"
_KEY: Final = Declared(
    "a private key",
    "With certificate_type 'key' send PKCS#8, PKCS#1 or SEC1 ('-----BEGIN PRIVATE KEY-----').",
)
_BESIDE_A_KEY: Final = Declared(
    "a private key alone",
    "With certificate_type 'key' send nothing but the key; with 'pem' send certificate and key.",
)
_KEY_SHAPES: Final = ("private key", "encrypted private key")


def read_key(opened: Opened, passphrase: bytes | None, budget: Budget) -> Contents:
    """The one private key, and no certificate. Raises CertificateRefused."""
    read = _from_text if opened.data is None else _from_data
    key = read(opened, passphrase, budget)
    return Contents((), (key,), is_ber=key.is_ber)


def _from_data(opened: Opened, passphrase: bytes | None, budget: Budget) -> OpenedKey:
    data = opened.data or b""
    if is_whole_key(data):
        return open_key_der(data, passphrase, _FIELD, budget)
    if shape_of(data) in _KEY_SHAPES:
        raise refused(
            "malformed",
            "certificate_content begins as a private key, but it was cut short or has more after it. "
            "Copy it again, whole.",
        )
    raise no_such_structure(_KEY, opened)


def _from_text(opened: Opened, passphrase: bytes | None, budget: Budget) -> OpenedKey:
    blocks = blocks_of(opened)
    others = [block for block in blocks if block.is_certificate or block.label in MISLEADING_LABELS]
    has_key = any(block.is_private_key for block in blocks)
    if others:
        raise other_kind(_BESIDE_A_KEY if has_key else _KEY, opened, others)
    if not has_key:
        raise other_kind(_KEY, opened, blocks)
    found = keys_of(blocks, passphrase, budget)
    if len(found) > 1:
        raise refused(
            "invalid_private_key", f"certificate_content holds {len(found)} private keys; send one."
        )
    return found[0]
