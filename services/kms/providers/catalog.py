"""Which provider serves which binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.kms.model import KmsTarget
    from services.kms.ports import WrappingKey


class Provider(Protocol):
    """One cloud."""

    def key(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """A key in it. Does no I/O."""
        ...


class Catalog:
    """Implements the port WrappingKeys."""

    def __init__(self, platform: WrappingKey, clouds: Mapping[str, Provider]) -> None:
        self._platform = platform
        self._clouds = clouds

    def platform(self) -> WrappingKey:
        """See WrappingKeys."""
        return self._platform

    def customer(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """See WrappingKeys."""
        return self._clouds[target.provider].key(tenant_id, target)
