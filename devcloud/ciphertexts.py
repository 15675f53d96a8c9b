"""The stand-ins' own ciphertexts: magic, 16-byte key id, key generation, nonce, AES-256-GCM.

No cloud documents its layout, and callers must treat a ciphertext as opaque. As with the clouds it
names the key and the generation of it (material, version) that made it, and the additional data is
authenticated but not in it.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_ID_BYTES = 16
_NONCE_BYTES = 12
_TAG_BYTES = 16


class CiphertextError(Exception):
    """Not a ciphertext of ours, tampered with, or other additional data."""


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """A parsed, not yet authenticated ciphertext."""

    key_id: str
    generation: bytes
    header: bytes
    nonce: bytes
    sealed: bytes = field(repr=False)

    def open(self, *, secret: bytes, aad: bytes) -> bytes:
        """Decrypt with the generation's secret. Raises CiphertextError."""
        try:
            return AESGCM(secret).decrypt(self.nonce, self.sealed, self.header + aad)
        except InvalidTag as error:
            raise CiphertextError from error


@dataclass(frozen=True, slots=True)
class Layout:
    """One cloud's ciphertexts: how they begin, and how long a generation's name is."""

    magic: bytes
    generation_bytes: int

    def seal(
        self, plaintext: bytes, *, key_id: str, generation: bytes, secret: bytes, aad: bytes
    ) -> bytes:
        """Encrypt under one generation of a key, a UUID."""
        header = self.magic + uuid.UUID(key_id).bytes + generation
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + AESGCM(secret).encrypt(nonce, plaintext, header + aad)

    def parse(self, raw: bytes) -> Ciphertext:
        """Read the parts. Raises CiphertextError."""
        key_end = len(self.magic) + _KEY_ID_BYTES
        header_end = key_end + self.generation_bytes
        nonce_end = header_end + _NONCE_BYTES
        if len(raw) < nonce_end + _TAG_BYTES or not raw.startswith(self.magic):
            raise CiphertextError
        return Ciphertext(
            key_id=str(uuid.UUID(bytes=raw[len(self.magic) : key_end])),
            generation=raw[key_end:header_end],
            header=raw[:header_end],
            nonce=raw[header_end:nonce_end],
            sealed=raw[nonce_end:],
        )
