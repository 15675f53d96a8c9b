"""The stand-in's ciphertexts: `GCK1`, 16-byte key id, 4-byte version, nonce, AES-256-GCM.

Google does not document its own layout, and callers must treat a ciphertext as opaque. As with
Google, it names the version that made it, and the additional data is authenticated but not in it.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MAGIC = b"GCK1"
_KEY_END = 4 + 16
_VERSION_END = _KEY_END + 4
_NONCE_END = _VERSION_END + 12
_TAG_BYTES = 16


class BlobError(Exception):
    """Not a ciphertext of ours, tampered with, or other additional data."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A parsed, not yet authenticated ciphertext."""

    key_id: str
    version: int
    header: bytes
    nonce: bytes
    sealed: bytes = field(repr=False)


def seal(plaintext: bytes, *, key_id: str, version: int, secret: bytes, aad: bytes) -> bytes:
    """Encrypt under one version of a key."""
    header = _MAGIC + uuid.UUID(key_id).bytes + version.to_bytes(4, "big")
    nonce = os.urandom(_NONCE_END - _VERSION_END)
    return header + nonce + AESGCM(secret).encrypt(nonce, plaintext, header + aad)


def parse(raw: bytes) -> Blob:
    """Read the parts. Raises BlobError."""
    if len(raw) < _NONCE_END + _TAG_BYTES or not raw.startswith(_MAGIC):
        raise BlobError
    return Blob(
        key_id=str(uuid.UUID(bytes=raw[len(_MAGIC) : _KEY_END])),
        version=int.from_bytes(raw[_KEY_END:_VERSION_END], "big"),
        header=raw[:_VERSION_END],
        nonce=raw[_VERSION_END:_NONCE_END],
        sealed=raw[_NONCE_END:],
    )


def open_blob(blob: Blob, *, secret: bytes, aad: bytes) -> bytes:
    """Decrypt with the version the ciphertext names. Raises BlobError."""
    try:
        return AESGCM(secret).decrypt(blob.nonce, blob.sealed, blob.header + aad)
    except InvalidTag as error:
        raise BlobError from error
