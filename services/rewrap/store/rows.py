"""One statement, one row; and transactions that end soon, whatever becomes of who began them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from services.common.database import Connection, Database
    from services.rewrap.model import LeaseRef

CHANNEL: Final = "coffer_rewrap"
"""Where leases are announced, as `<tenant>:<lease>`; `rewrap.issue_lease` does so too."""
# A worker that is stopped (SIGSTOP, a frozen machine) within a transaction must not keep a lease's row.
_BEGIN: Final = """
select set_config('coffer.tenant_id', %s, true),
    set_config('idle_in_transaction_session_timeout', '3s', true)
"""


async def one(
    connection: Connection, query: str, values: Sequence[object] | dict[str, object]
) -> tuple[Any, ...] | None:
    """The first row of a constant statement, prepared; None when there is none."""
    cursor = await connection.execute(query.encode(), values, prepare=True)
    return await cursor.fetchone()


@contextlib.asynccontextmanager
async def briefly(database: Database, ref: LeaseRef) -> AsyncIterator[Connection]:
    """A transaction held to the lease's tenant, broken by the server when it hears nothing for 3 s.

    Raises as `Database.transaction`.
    """
    async with database.transaction() as connection:
        await connection.execute(_BEGIN, (str(ref.tenant_id),))
        yield connection


async def announce(connection: Connection, ref: LeaseRef) -> None:
    """Wake every dispatcher, when the transaction commits."""
    payload = f"{ref.tenant_id}:{ref.lease_id}"
    await connection.execute("select pg_notify(%s, %s)", (CHANNEL, payload), prepare=True)
