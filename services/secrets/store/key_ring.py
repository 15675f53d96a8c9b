"""Holding a tenant's key ring: what is written commits under an active version or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from services.common.database import KEY_VERSION_NOT_ACTIVE
from services.secrets.model import StaleKeyVersionError

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Connection


async def hold_active(connection: Connection, tenant_id: UUID, key_version: int) -> None:
    """The first lock of every transaction that writes a wrapped key. Raises StaleKeyVersionError."""
    try:
        await connection.execute(
            "select kms.hold_active(%b, %b::bigint)", (tenant_id, key_version), prepare=True
        )
    except psycopg.Error as error:
        if error.sqlstate == KEY_VERSION_NOT_ACTIVE:
            raise StaleKeyVersionError from None
        raise
