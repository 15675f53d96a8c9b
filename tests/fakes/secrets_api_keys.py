"""API keys of one tenant in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from services.secrets.tenancy.model import ApiKeyRow, MadeApiKey, NewApiKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common import api_keys
    from services.common.identity import Call
    from services.secrets.tenancy.model import ApiKeyListing


@dataclass
class MemoryApiKeys:
    """`tenancy.ports.ApiKeys`. `made` is what use cases asked for, in order."""

    made: list[NewApiKey] = field(default_factory=list)
    rows: dict[str, ApiKeyRow] = field(default_factory=dict)
    maker_is_gone: bool = False

    async def list(
        self, tenant_id: UUID, listing: ApiKeyListing
    ) -> tuple[Sequence[ApiKeyRow], int]:
        asked = listing.paging
        rows = [row for row in self.rows.values() if row.active]
        rows.sort(key=lambda row: (getattr(row, listing.sort), row.id), reverse=listing.descending)
        return rows[asked.offset : asked.offset + asked.per_page], len(rows)

    async def get(self, tenant_id: UUID, name: str) -> ApiKeyRow | None:
        found = [row for row in self.rows.values() if name in {row.key_id, str(row.id)}]
        return found[0] if found and found[0].active else None

    async def create(
        self, tenant_id: UUID, new: NewApiKey, key: api_keys.NewApiKey, call: Call
    ) -> MadeApiKey | None:
        if self.maker_is_gone:
            return None
        self.made.append(new)
        row = ApiKeyRow(
            id=uuid4(),
            key_id=key.key_id,
            key_prefix=key.prefix,
            name=new.name,
            scopes=new.scopes,
            expires_at=new.expires_at,
            created_at=datetime.now(UTC),
            last_used_at=None,
            active=True,
            rate_limit_requests=new.rate_limit.calls if new.rate_limit else None,
            rate_limit_window_sec=new.rate_limit.seconds if new.rate_limit else None,
        )
        self.rows[key.key_id] = row
        return MadeApiKey(row, key.token)

    async def revoke(self, tenant_id: UUID, name: str, call: Call) -> bool:
        found = await self.get(tenant_id, name)
        if found is not None:
            self.rows[found.key_id] = replace(found, active=False)
        return found is not None
