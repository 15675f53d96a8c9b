"""Which provider serves which binding, and what the platform itself wraps with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.kms.model import WrapMethod

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

    def __init__(
        self,
        platform: WrappingKey,
        clouds: Mapping[str, Provider],
        *,
        operator: WrappingKey | None = None,
    ) -> None:
        """`platform` is the key of method `global`, `operator` that of `operator_kms`."""
        self._platform = {WrapMethod.GLOBAL: platform}
        if operator is not None:
            self._platform[WrapMethod.OPERATOR_KMS] = operator
        self._clouds = clouds

    @property
    def platform_method(self) -> WrapMethod:
        """See WrappingKeys."""
        return max(self._platform, key=lambda method: method is WrapMethod.OPERATOR_KMS)

    def platform(self, method: WrapMethod | None = None) -> WrappingKey:
        """See WrappingKeys."""
        return self._platform[method or self.platform_method]

    def customer(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """See WrappingKeys."""
        return self._clouds[target.provider].key(tenant_id, target)
