"""The platform's own wrapping key, wrap method `global`: AES-256-GCM under COFFER_MASTER_KEY_B64.

Wrapped form: `KCG1`, 12-byte nonce, 32-byte ciphertext, 16-byte tag; the header, the tenant and the key
id are in the AAD (NIST SP 800-38D, random 96-bit nonces: the key wraps one master key per tenant and
version, which is far below 2^32).

While the key is being turned, COFFER_MASTER_KEY_PREVIOUS_B64 opens too; it never wraps.

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
    """A `TurnableKey` that needs no I/O."""

    def __init__(
        self, key: SecretBytes, meter: Meter, *, previous: SecretBytes | None = None
    ) -> None:
        """`previous` opens what it wrapped once."""
        self._key = key
        self._previous = previous
        self._meter = meter

    def describe(self) -> KeyDescription:
        """The platform's own key, for which nobody is asked."""
        return KeyDescription(PROVIDER, "COFFER_MASTER_KEY_B64", "kms", (), "AES-256-GCM")

    async def wrap(self, facts: KeyFacts, master_key: bytes) -> Wrapped:
        """Wrap under the present key. Never fails."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._key.reveal()).encrypt(nonce, master_key, _aad(facts))
        self._meter.count(PROVIDER, "wrap", "ok")
        return Wrapped(_HEADER + nonce + sealed)

    async def unwrap(self, facts: KeyFacts, wrapped: Wrapped) -> bytes:
        """Unwrap. Raises WrapError `roundtrip_mismatch` for another key's, tenant's or damaged bytes."""
        opened = _open(self._key, facts, wrapped.blob)
        operation = "unwrap"
        if opened is None and self._previous is not None:
            opened = _open(self._previous, facts, wrapped.blob)
            # Counted apart, so that it shows whether the previous key is still needed.
            operation = "unwrap" if opened is None else "unwrap_previous"
        if opened is None:
            self._meter.count(PROVIDER, operation, Reason.ROUNDTRIP_MISMATCH)
            raise WrapError(
                Reason.ROUNDTRIP_MISMATCH,
                "The platform key is not the one that wrapped this master key.",
            )
        self._meter.count(PROVIDER, operation, "ok")
        return opened

    def is_present(self, facts: KeyFacts, wrapped: Wrapped, present_ref: str | None) -> bool:  # noqa: ARG002
        """See TurnableKey. Tells by opening it; the reference tells nothing."""
        return _open(self._key, facts, wrapped.blob) is not None


def _open(key: SecretBytes, facts: KeyFacts, blob: bytes) -> bytes | None:
    if len(blob) != _WRAPPED_BYTES or not blob.startswith(_HEADER):
        return None
    start = len(_HEADER) + _NONCE_BYTES
    try:
        return AESGCM(key.reveal()).decrypt(blob[len(_HEADER) : start], blob[start:], _aad(facts))
    except InvalidTag:
        return None


def _aad(facts: KeyFacts) -> bytes:
    return aad.encode("coffer/master-key", _HEADER, facts.tenant_id.bytes, facts.key_id.bytes)
