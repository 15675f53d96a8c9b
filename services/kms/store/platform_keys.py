"""Master keys under the platform's own wrapping key, of all tenants, each read and changed as its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common import audit
from services.kms.store import ring, rows

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Database
    from services.common.identity import Call
    from services.kms.model import MasterKeyRow, WrapMethod, Wrapped

_FIND: Final = f"""
    select {rows.KEY_COLUMNS} from kms.master_key k
    where k.tenant_id = %s and k.version = %s and k.binding_id is null and k.status <> 'revoked'
"""  # noqa: S608 - constants
_REWRAP: Final = """
    update kms.master_key set wrapped = %s, wrap_method = %s, provider_key_version = %s
    where tenant_id = %s and version = %s and binding_id is null and status <> 'revoked'
      and wrap_method = %s and wrapped = %s
    returning version
"""


class PlatformStore:
    """Implements PlatformKeyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def platform_keys(self, after: tuple[UUID, int], limit: int) -> list[tuple[UUID, int]]:
        """See PlatformKeyStore."""
        query = "select tenant_id, version from kms.platform_keys(%s, %s, %s)"
        found = await self._database.rows(query, (*after, limit))
        return [(tenant_id, version) for tenant_id, version in found]

    async def count_platform_keys(self) -> int:
        """See PlatformKeyStore."""
        [(count,)] = await self._database.rows("select kms.count_platform_keys()", ())
        return int(count)

    async def find_platform_key(self, tenant_id: UUID, version: int) -> MasterKeyRow | None:
        """See PlatformKeyStore."""
        async with self._database.tenant(tenant_id) as connection:
            row = await ring.one(connection, _FIND, tenant_id, version)
        return None if row is None else rows.key(row)

    async def rewrap_platform_key(
        self, call: Call, row: MasterKeyRow, method: WrapMethod, wrapped: Wrapped
    ) -> bool:
        """See PlatformKeyStore."""
        assert row.wrapped is not None
        async with self._database.tenant(row.tenant_id) as connection:
            await ring.take_ring(connection, row.tenant_id)
            done = await ring.one(
                connection,
                _REWRAP,
                wrapped.blob,
                method,
                wrapped.key_ref,
                row.tenant_id,
                row.version,
                row.wrap_method,
                row.wrapped.blob,
            )
            if done is None:
                return False
            await audit.append(connection, row.tenant_id, call, [_event(row, method)])
        return True


def _event(row: MasterKeyRow, method: WrapMethod) -> audit.Event:
    details = {
        "version": row.version,
        "old_wrap_method": str(row.wrap_method),
        "wrap_method": str(method),
    }
    return audit.Event("kms.key.rewrapped_by_platform", "master_key", str(row.id), details)
