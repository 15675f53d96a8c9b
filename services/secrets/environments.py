"""Environments by name, remembered.

A name is read once and remembered: the transaction that writes a secret checks that the environment is
still the one of this name, so what is remembered may be out of date without harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from services.secrets.model import Environment
    from services.secrets.ports import Secrets

MAX_REMEMBERED: Final = 4096
"""Tenants; about 1 KiB each."""
_MAX_PER_TENANT: Final = 64


class KnownEnvironments:
    """Finds environments; asks the store for what it does not remember."""

    def __init__(self, store: Secrets) -> None:
        self._store = store
        self._known: dict[UUID, dict[str | None, Environment]] = {}

    async def find(self, tenant_id: UUID, name: str | None) -> Environment | None:
        """The environment of this name; None asks for the default. None when there is none."""
        known = self._known.get(tenant_id, {}).get(name)
        if known is not None:
            return known
        found = await self._store.environment(tenant_id, name)
        if found is not None:
            self._remember(tenant_id, name, found)
        return found

    def forget(self, tenant_id: UUID) -> None:
        """What is remembered of this tenant turned out to be out of date."""
        self._known.pop(tenant_id, None)

    def _remember(self, tenant_id: UUID, name: str | None, found: Environment) -> None:
        if tenant_id not in self._known and len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        of_tenant = self._known.setdefault(tenant_id, {})
        if len(of_tenant) >= _MAX_PER_TENANT:
            of_tenant.clear()
        of_tenant[name] = found
