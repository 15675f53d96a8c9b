"""What kms processes tell each other over LISTEN/NOTIFY, channel `coffer_kms`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

CHANNEL: Final = "coffer_kms"
_NOBODY: Final = "-"
_PARTS: Final = 4


class Kind(StrEnum):
    """What happened to a tenant's key ring."""

    ROTATED = "rotated"
    """Another version is active; open keys stay good."""
    REPLACED = "replaced"
    """Another binding is current; everything is to be read anew."""
    REFUSED = "refused"
    """The provider refused the binding: its keys must not be used."""
    UNSEALED = "unsealed"
    """The binding can be used again."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One notification. `sender` names the process, which took note itself: see `MasterKeys.echoed`."""

    kind: Kind
    tenant_id: UUID
    binding_id: UUID | None
    sender: str

    def encode(self) -> str:
        """The payload: `kind:tenant:binding or -:sender`."""
        binding = _NOBODY if self.binding_id is None else str(self.binding_id)
        return f"{self.kind}:{self.tenant_id}:{binding}:{self.sender}"

    @classmethod
    def parse(cls, payload: str) -> Announcement | None:
        """From a payload; None for one that is not ours."""
        parts = payload.split(":", _PARTS - 1)
        if len(parts) != _PARTS:
            return None
        kind, tenant, binding, sender = parts
        try:
            binding_id = None if binding == _NOBODY else UUID(binding)
            return cls(Kind(kind), UUID(tenant), binding_id, sender)
        except ValueError:
            return None
