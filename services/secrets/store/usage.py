"""The tenant's usage row: who holds it is alone in making, deleting and restoring secrets of the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.database import Connection

_BEGIN: Final = """
insert into secrets.usage (tenant_id) values (%(tenant)s) on conflict do nothing
"""
_HOLD: Final = "select from secrets.usage where tenant_id = %(tenant)s for update"


async def hold_usage(connection: Connection, tenant_id: UUID) -> None:
    """Hold the row until the transaction ends; made if there is none yet.

    Changes of environments and collections take it before any other row, so that none of them meets a
    secret that is being made in what they delete, or another of them.
    """
    parameters = {"tenant": tenant_id}
    await connection.execute(_BEGIN, parameters, prepare=True)
    await connection.execute(_HOLD, parameters, prepare=True)
