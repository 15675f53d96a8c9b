"""What kms processes tell each other over LISTEN/NOTIFY, channel `coffer_kms`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

CHANNEL: Final = "coffer_kms"
OWN: Final = "self"
"""The sender of what a process tells itself, and does not send."""
_NOBODY: Final = "-"
_PARTS: Final = 5


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
    REVOKED = "revoked"
    """A version was erased: nobody may go on using it."""
    VERSION_REFUSED = "version_refused"
    """The provider refused one version of a binding: nobody may go on using that one."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One notification. `sender` names the process, which took note itself: see `MasterKeys.echoed`.

    `version` is told of REVOKED and VERSION_REFUSED only.
    """

    kind: Kind
    tenant_id: UUID
    binding_id: UUID | None
    sender: str = OWN
    version: int | None = None

    def encode(self) -> str:
        """The payload: `kind:tenant:binding or -:version or -:sender`."""
        binding = _NOBODY if self.binding_id is None else str(self.binding_id)
        version = _NOBODY if self.version is None else str(self.version)
        return f"{self.kind}:{self.tenant_id}:{binding}:{version}:{self.sender}"

    @classmethod
    def parse(cls, payload: str) -> Announcement | None:
        """From a payload; None for one that is not ours."""
        parts = payload.split(":", _PARTS - 1)
        if len(parts) != _PARTS:
            return None
        kind, tenant, binding, number, sender = parts
        try:
            binding_id = None if binding == _NOBODY else UUID(binding)
            version = None if number == _NOBODY else int(number)
            return cls(Kind(kind), UUID(tenant), binding_id, sender, version)
        except ValueError:
            return None
