"""Sealing the fields of a value version under its data key, and opening them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.common import envelope
from services.common.envelope import FieldFacts
from services.secrets.model import SealedValue, WrappedKey

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.sensitive import SecretBytes
    from services.secrets.model import DataKey, FieldName, Payload, SealedAnswer
    from services.secrets.versions import StoredValue


def seal(  # noqa: PLR0917 - where the value belongs, in the order of the AAD
    key: DataKey,
    tenant_id: UUID,
    secret_id: UUID,
    environment_id: UUID,
    value_version: int,
    payload: Payload,
) -> SealedValue:
    """Each field sealed by itself, bound to where it belongs; then the data key is wiped."""
    facts = FieldFacts(tenant_id, secret_id, environment_id, value_version, key.id)
    plaintext = key.plaintext.reveal()
    try:
        fields = {
            name: envelope.seal(plaintext, facts, name, value)
            for name, value in payload.fields.items()
        }
    finally:
        key.plaintext.wipe()
    return SealedValue(WrappedKey(key.id, key.wrapped, key.key_version), fields)


def open_(
    tenant_id: UUID, stored: SealedAnswer | StoredValue, key: SecretBytes
) -> dict[FieldName, bytes]:
    """Every field in clear; then the data key is wiped. Raises envelope.CannotOpenError."""
    facts = FieldFacts(
        tenant_id,
        stored.secret_id,
        stored.environment.id,
        stored.value_version,
        stored.value.key.id,
    )
    plaintext = key.reveal()
    try:
        return {
            name: envelope.open_(plaintext, facts, name, sealed)
            for name, sealed in stored.value.fields.items()
        }
    finally:
        key.wipe()
