"""What the use cases of tenants need of the world. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from services.common import api_keys
    from services.common.identity import Call
    from services.secrets.tenancy.model import (
        Account,
        ApiKeyListing,
        ApiKeyRow,
        Counts,
        MadeApiKey,
        NewApiKey,
    )


class ApiKeys(Protocol):
    """A tenant's API keys. Each change appends its audit event in its transaction."""

    async def list(
        self, tenant_id: UUID, listing: ApiKeyListing
    ) -> tuple[Sequence[ApiKeyRow], int]:
        """A page of those that are not revoked, and how many there are; names by code point."""
        ...

    async def get(self, tenant_id: UUID, name: str) -> ApiKeyRow | None:
        """One that is not revoked, by its `key_id` or its id."""
        ...

    async def create(
        self, tenant_id: UUID, new: NewApiKey, key: api_keys.NewApiKey, call: Call
    ) -> MadeApiKey | None:
        """Store a key; None where the key that asks for it has been revoked or has ended meanwhile. Raises
        PlanLimitError where MAX_LIVE_KEYS are there, also for keys that are made at once.

        A key that is made and the revocation of the one that makes it happen one after the other.
        """
        ...

    async def revoke(self, tenant_id: UUID, name: str, call: Call) -> bool:
        """Make a key useless at once, everywhere. False when there is none that is not revoked."""
        ...


class Accounts(Protocol):
    """The tenant and its counts."""

    async def get(self, tenant_id: UUID) -> Account | None:
        """The tenant."""
        ...

    async def counts(self, tenant_id: UUID, month: date) -> Counts | None:
        """What it has now, and its calls in the month that begins with `month`."""
        ...


class Uses(Protocol):
    """The uses of API keys that this process has not written yet."""

    async def flush(self) -> None:
        """Write them."""
        ...
