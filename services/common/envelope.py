"""Sealing a payload under its data key: AES-256-GCM, a fresh random 96-bit nonce (NIST SP 800-38D).

A data key seals the fields of one value version and nothing else, so that a nonce cannot repeat under a
key in use. Sealed form: `KCF1`, 12-byte nonce, ciphertext, 16-byte tag; the header is in the AAD.
How data keys themselves are wrapped only kms knows; here are just the sizes of the wrapped form.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.common import aad

if TYPE_CHECKING:
    from uuid import UUID

DATA_KEY_BYTES: Final = 32
WRAPPED_DATA_KEY_BYTES: Final = 68
"""`KCT1` (4), key version (4, big-endian), nonce (12), ciphertext (32), tag (16)."""
DATA_KEY_RECORD_BYTES: Final = 16 + WRAPPED_DATA_KEY_BYTES
"""A data-key id and its wrapped form, as packed into one byte field of an rpc."""

FIELD_HEADER: Final = b"KCF1"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class CannotOpenError(Exception):
    """The sealed bytes are damaged, or do not belong to these facts or this key. Says no more."""


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """Where a sealed field belongs. A field moved to any other place does not open."""

    tenant_id: UUID
    secret_id: UUID
    environment_id: UUID
    value_version: int
    data_key_id: UUID

    def aad(self, name: str) -> bytes:
        """The authenticated facts of the field `name`."""
        return aad.field(
            self.tenant_id,
            self.secret_id,
            self.environment_id,
            self.value_version,
            self.data_key_id,
            name,
            FIELD_HEADER,
        )


def seal(data_key: bytes, facts: FieldFacts, name: str, plaintext: bytes) -> bytes:
    """Seal the field `name`. Raises ValueError for a key that is not 32 bytes."""
    if len(data_key) != DATA_KEY_BYTES:
        raise ValueError("a data key has 32 bytes")
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(data_key).encrypt(nonce, plaintext, facts.aad(name))
    return FIELD_HEADER + nonce + sealed


def open_(data_key: bytes, facts: FieldFacts, name: str, sealed: bytes) -> bytes:
    """Open the field `name`. Raises CannotOpenError."""
    start = len(FIELD_HEADER)
    if not sealed.startswith(FIELD_HEADER) or len(sealed) < start + NONCE_BYTES + TAG_BYTES:
        raise CannotOpenError
    nonce, ciphertext = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
    try:
        return AESGCM(data_key).decrypt(nonce, ciphertext, facts.aad(name))
    except InvalidTag:
        raise CannotOpenError from None
