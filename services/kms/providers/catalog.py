"""Which provider serves which binding, and what the platform itself wraps with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.kms.model import WrapMethod

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from services.kms.model import KmsTarget, MasterKeyRow
    from services.kms.ports import TurnableKey, WrappingKey


class Provider(Protocol):
    """One cloud."""

    def key(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """A key in it. Does no I/O."""
        ...


class Catalog:
    """Implements the ports WrappingKeys and PlatformKeys."""

    def __init__(
        self,
        platform: TurnableKey,
        clouds: Mapping[str, Provider],
        *,
        operator: TurnableKey | None = None,
        method: WrapMethod = WrapMethod.GLOBAL,
    ) -> None:
        """`platform` is the key of method `global`, `operator` that of `operator_kms`; `method` is how new
        master keys are wrapped."""
        self._platform = {WrapMethod.GLOBAL: platform}
        if operator is not None:
            self._platform[WrapMethod.OPERATOR_KMS] = operator
        self._method = method
        self._clouds = clouds

    @property
    def platform_method(self) -> WrapMethod:
        """See WrappingKeys."""
        return self._method

    def platform(self, method: WrapMethod | None = None) -> WrappingKey:
        """See WrappingKeys."""
        return self._platform[method or self._method]

    def is_present(self, row: MasterKeyRow, present_ref: str | None) -> bool:
        """See PlatformKeys."""
        if row.wrap_method is not self._method or row.wrapped is None:
            return False
        return self._platform[self._method].is_present(row.facts, row.wrapped, present_ref)

    def customer(self, tenant_id: UUID, target: KmsTarget) -> WrappingKey:
        """See WrappingKeys."""
        return self._clouds[target.provider].key(tenant_id, target)
