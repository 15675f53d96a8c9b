"""The stand-in's ciphertext blobs: `DCK1`, 16-byte key id, 32-byte material id, nonce, AES-GCM.

AWS does not document its own layout, and callers must treat a blob as opaque. As with AWS, the
blob names the key and its material, and the encryption context is authenticated but not in it.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devcloud.aws.model import Material

_MAGIC = b"DCK1"
_KEY_END = 4 + 16
_MATERIAL_END = _KEY_END + 32
_NONCE_END = _MATERIAL_END + 12
_TAG_BYTES = 16


class BlobError(Exception):
    """Not a blob of ours, tampered with, or another encryption context."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A parsed, not yet authenticated blob."""

    key_id: str
    material_id: str
    header: bytes
    nonce: bytes
    sealed: bytes = field(repr=False)


def seal(plaintext: bytes, *, key_id: str, material: Material, context: Mapping[str, str]) -> bytes:
    """Encrypt under one generation of a key."""
    header = _MAGIC + uuid.UUID(key_id).bytes + bytes.fromhex(material.id)
    nonce = os.urandom(_NONCE_END - _MATERIAL_END)
    sealed = AESGCM(material.secret).encrypt(nonce, plaintext, header + canonical(context))
    return header + nonce + sealed


def parse(raw: bytes) -> Blob:
    """Read the parts. Raises BlobError."""
    if len(raw) < _NONCE_END + _TAG_BYTES or not raw.startswith(_MAGIC):
        raise BlobError
    return Blob(
        key_id=str(uuid.UUID(bytes=raw[len(_MAGIC) : _KEY_END])),
        material_id=raw[_KEY_END:_MATERIAL_END].hex(),
        header=raw[:_MATERIAL_END],
        nonce=raw[_MATERIAL_END:_NONCE_END],
        sealed=raw[_NONCE_END:],
    )


def open_blob(blob: Blob, *, material: Material, context: Mapping[str, str]) -> bytes:
    """Decrypt with the generation the blob names. Raises BlobError."""
    try:
        return AESGCM(material.secret).decrypt(
            blob.nonce, blob.sealed, blob.header + canonical(context)
        )
    except InvalidTag as error:
        raise BlobError from error


def canonical(context: Mapping[str, str]) -> bytes:
    """The context as bytes: sorted pairs, each part with its length, so no two contexts meet."""
    out = bytearray()
    for name, value in sorted(context.items()):
        for part in (name.encode(), value.encode()):
            out += len(part).to_bytes(4, "big") + part
    return bytes(out)
