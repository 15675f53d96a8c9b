"""The values of secrets on PostgreSQL: each method is one transaction held to one tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.secrets.store import reads, updates, versions

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Database
    from services.common.identity import Call
    from services.secrets.groups import Unfinished
    from services.secrets.model import Environment, NewValue, Standing, StoredVersion
    from services.secrets.paging import Paging
    from services.secrets.versions import NotRemoved, PastVersions, StoredValue


class PostgresValues:
    """`ports.Values`: what is promised there holds when a method returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(
        self, tenant_id: UUID, secret_id: UUID, environment: str | None
    ) -> Standing | None:
        """As `ports.Values.standing`."""
        async with self._database.tenant(tenant_id) as connection:
            return await reads.standing(connection, tenant_id, secret_id, environment)

    async def put(self, tenant_id: UUID, value: NewValue) -> StoredVersion | None:
        """As `ports.Values.put`."""
        async with self._database.change(tenant_id) as connection:
            return await updates.put(connection, tenant_id, value)

    async def history(
        self, tenant_id: UUID, secret_id: UUID, environment: Environment, asked: Paging
    ) -> PastVersions:
        """As `ports.Values.history`."""
        async with self._database.tenant(tenant_id) as connection:
            return await versions.history(connection, tenant_id, secret_id, environment, asked)

    async def stored(
        self, tenant_id: UUID, secret_id: UUID, environment_id: UUID, version: int
    ) -> StoredValue | None:
        """As `ports.Values.stored`."""
        async with self._database.tenant(tenant_id) as connection:
            return await versions.stored(connection, tenant_id, secret_id, environment_id, version)

    async def remove(
        self, tenant_id: UUID, secret_id: UUID, environment: str, call: Call
    ) -> NotRemoved | Unfinished | None:
        """As `ports.Values.remove`."""
        async with self._database.change(tenant_id) as connection:
            return await versions.remove(connection, tenant_id, secret_id, environment, call)
