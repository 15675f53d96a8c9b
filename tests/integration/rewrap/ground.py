"""A tenant with one lease that can be put into any state, and a look at all that could change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.rewrap.model import LeaseRef

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

LIVE = ("enqueued", "running", "waiting", "paused")
FENCE = 5
"""Of the lanes that are under way."""
_LEASE = """
insert into rewrap.lease (tenant_id, reason, target_version, state, total, done, fence, attempts,
    rate_per_second, kms_calls, progressed_at, started_at, next_attempt_at, finished_at)
select %s, 'rotate', 2, %s, 100, 40, 5, 3, 20, 2, now, now,
    case when %s = 'waiting' then now + interval '30 seconds' end, case when %s then now end
from clock_timestamp() now returning id
"""
_LANES = """
insert into rewrap.lane (tenant_id, lease_id, lane, until, fence, held_until)
select %s, %s, n, lpad(to_hex(n + 1), 32, '0')::uuid, 5, clock_timestamp() + interval '5 seconds'
from generate_series(0, 1) n
"""
_TABLES = ("rewrap.lease", "rewrap.lane", "audit.event", "rewrap.idempotency")
_ROWS = " union all ".join(
    f"select '{table}', to_jsonb(t)::text row from {table} t where tenant_id = %(tenant)s"
    for table in _TABLES
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Of one tenant without a data key. `connection` is the superuser's."""

    connection: psycopg.Connection[Any]
    tenant_id: UUID

    def put(self, state: str) -> int:
        """The tenant's only lease, in this state as its workers would have left it, with two lanes under way
        under FENCE.
        """
        for table in ("lane", "lease"):
            query = f"delete from rewrap.{table} where tenant_id = %s"
            self.connection.execute(query.encode(), (self.tenant_id,))
        values = (self.tenant_id, state, state, state not in LIVE)
        row = self.connection.execute(_LEASE, values).fetchone()
        assert row is not None
        self.connection.execute(_LANES, (self.tenant_id, row[0]))
        return int(row[0])

    def ref(self, state: str) -> LeaseRef:
        """As `put`."""
        return LeaseRef(self.tenant_id, self.put(state))

    def state(self, lease_id: int) -> str:
        query = "select state from rewrap.lease where id = %s"
        row = self.connection.execute(query, (lease_id,)).fetchone()
        assert row is not None
        return str(row[0])

    def rows(self) -> list[Any]:
        """All that steering or work could change for the tenant."""
        query = f"{_ROWS} order by 1, 2"
        return self.connection.execute(query.encode(), {"tenant": self.tenant_id}).fetchall()
