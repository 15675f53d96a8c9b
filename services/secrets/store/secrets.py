"""The secrets of tenants on PostgreSQL: each method is one transaction held to one tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.secrets.store import creates, lists, reads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.database import Database
    from services.common.identity import Call
    from services.secrets.listing import Listing, Page
    from services.secrets.model import (
        Environment,
        EnvironmentValue,
        NewSecret,
        Refused,
        SecretRow,
    )


class PostgresSecrets:
    """`ports.Secrets`: what is promised there holds when a method returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def environment(
        self, tenant_id: UUID, name: str | None, call: Call
    ) -> Environment | None:
        """As `ports.Secrets.environment`."""
        async with self._database.tenant(tenant_id) as connection:
            return await reads.environment(connection, tenant_id, name, call)

    async def has_collection(self, tenant_id: UUID, collection_id: UUID) -> bool:
        """As `ports.Secrets.has_collection`."""
        async with self._database.tenant(tenant_id) as connection:
            cursor = await connection.execute(
                "select from secrets.collection where tenant_id = %s and id = %s",
                (tenant_id, collection_id),
            )
            return await cursor.fetchone() is not None

    async def create(
        self, tenant_id: UUID, key_version: int, secrets: Sequence[NewSecret]
    ) -> list[SecretRow | Refused]:
        """As `ports.Secrets.create`."""
        async with self._database.change(tenant_id) as connection:
            return await creates.create(connection, tenant_id, key_version, secrets)

    async def get(
        self, tenant_id: UUID, secret_id: UUID
    ) -> tuple[SecretRow, tuple[EnvironmentValue, ...]] | None:
        """As `ports.Secrets.get`."""
        async with self._database.tenant(tenant_id) as connection:
            return await reads.get(connection, tenant_id, secret_id)

    async def list(self, tenant_id: UUID, listing: Listing) -> Page:
        """As `ports.Secrets.list`."""
        async with self._database.looking(tenant_id) as connection:
            return await lists.list_(connection, tenant_id, listing)
