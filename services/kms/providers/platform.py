"""The platform's own wrapping key, wrap method `global`: AES-256-GCM under COFFER_MASTER_KEY_B64.

Wrapped form: `KCG1`, 12-byte nonce, 32-byte ciphertext, 16-byte tag; the header, the tenant and the key
id are in the AAD (NIST SP 800-38D, random 96-bit nonces: the key wraps one master key per tenant and
version, which is far below 2^32).

Not promised: any protection from the operator, who holds this key. That is what a customer's key is for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.common import aad
from services.kms.model import KeyDescription, Reason, WrapError, Wrapped

if TYPE_CHECKING:
    from services.common.sensitive import SecretBytes
    from services.kms.model import KeyFacts
    from services.kms.ports import Meter

PROVIDER: Final = "platform"
_HEADER: Final = b"KCG1"
_NONCE_BYTES: Final = 12
_WRAPPED_BYTES: Final = len(_HEADER) + _NONCE_BYTES + 32 + 16


class PlatformKey:
    """A `WrappingKey` that needs no I/O."""

    def __init__(self, key: SecretBytes, meter: Meter) -> None:
        self._key = key
        self._meter = meter

    def describe(self) -> KeyDescription:
        """The platform's own key, for which nobody is asked."""
        return KeyDescription(PROVIDER, "COFFER_MASTER_KEY_B64", "kms", (), "AES-256-GCM")

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        """Wrap under the platform key. Never fails."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._key.reveal()).encrypt(nonce, master_key, _aad(facts))
        self._meter.count(PROVIDER, "wrap", "ok")
        return Wrapped(_HEADER + nonce + sealed)

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        """Unwrap. Raises WrapError `roundtrip_mismatch` for another key's, tenant's or damaged bytes."""
        blob = wrapped.blob
        try:
            if len(blob) != _WRAPPED_BYTES or not blob.startswith(_HEADER):
                raise InvalidTag
            start = len(_HEADER) + _NONCE_BYTES
            cipher = AESGCM(self._key.reveal())
            opened = cipher.decrypt(blob[len(_HEADER) : start], blob[start:], _aad(facts))
        except InvalidTag:
            self._meter.count(PROVIDER, "unwrap", Reason.ROUNDTRIP_MISMATCH)
            raise WrapError(
                Reason.ROUNDTRIP_MISMATCH,
                "The platform key is not the one that wrapped this master key.",
            ) from None
        self._meter.count(PROVIDER, "unwrap", "ok")
        return opened


def _aad(facts: KeyFacts) -> bytes:
    return aad.encode("coffer/master-key", _HEADER, facts.tenant_id.bytes, facts.key_id.bytes)
