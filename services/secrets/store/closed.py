"""Environments whose deletion was cut off, found across tenants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.secrets.groups import ClosedEnvironment

if TYPE_CHECKING:
    from services.common.database import Database

CUT_OFF_MINUTES: Final = 15
"""Longer than any call lasts: the longest deadline that a gateway can be given is 10 minutes."""

_NO_ID: Final = UUID(int=0)
_FROM_THE_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)

_FIND: Final = f"""
select e.tenant_id, e.id, e.closed_at from secrets.environment e
where e.closed_at <= now() - interval '{CUT_OFF_MINUTES} minutes'
  and (e.closed_at, e.tenant_id, e.id) > (%s, %s, %s)
order by e.closed_at, e.tenant_id, e.id limit %s
"""  # noqa: S608 - a constant


class PostgresClosedEnvironments:
    """`ports.ClosedEnvironments`, under the login role coffer_secrets_purge, which sees no others."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, after: ClosedEnvironment | None, limit: int) -> list[ClosedEnvironment]:
        """As `ports.ClosedEnvironments.find`."""
        last = after or ClosedEnvironment(_NO_ID, _NO_ID, _FROM_THE_BEGINNING)
        parameters = (last.closed_at, last.tenant_id, last.id, limit)
        return [ClosedEnvironment(*row) for row in await self._database.rows(_FIND, parameters)]
