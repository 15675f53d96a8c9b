"""Audit events: appended in the transaction of the change they tell of, chained by SHA-256.

No audit, no change: `append` is the last statement before the commit, and its failure undoes all. (Whoever
records an access of a value looks after it whether that is still allowed, and undoes all if not.) What the
chain is made of is in `audit_chain`.

Order. `audit.append` numbers events under the lock of the tenant's head row and holds it until its
transaction ends. So whoever gets number n + 1 took the lock after the transaction of n had ended: n is
committed, or it was rolled back, the head with it, and the number is given again. Hence numbers have no gap;
they become visible in their order; and who sees n sees everything before n, then and for ever, since no
event is changed or removed. Tenants have a head each and never wait for one another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from services.common.database import Connection
    from services.common.identity import Call

MAX_EVENTS: Final = 1000
"""Of one statement, which the database bounds in time."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to which thing. `details` holds facts for people, never a secret."""

    action: str
    resource_type: str
    resource_id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


def moment(at: datetime) -> str:
    """A time among details: in the form of the wire contract, cut to milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def append(
    connection: Connection, tenant_id: UUID, call: Call, events: Sequence[Event]
) -> None:
    """Append `events` in the caller's transaction, which must be held to `tenant_id`."""
    await append_each(connection, tenant_id, [(call, event) for event in events])


async def append_each(
    connection: Connection, tenant_id: UUID, entries: Sequence[tuple[Call, Event]]
) -> None:
    """As `append`, for the events of several calls whose changes are committed together.

    Any number of events: a statement takes up to MAX_EVENTS of them.
    """
    rows = [
        {
            "action": event.action,
            "resource_type": event.resource_type,
            "resource_id": event.resource_id,
            "actor": call.actor,
            "details": json.dumps(dict(event.details), sort_keys=True, separators=(",", ":")),
            "ip_address": call.ip_address,
            "request_id": call.request_id,
        }
        for call, event in entries
    ]
    for start in range(0, len(rows), MAX_EVENTS):
        part = json.dumps(rows[start : start + MAX_EVENTS])
        await connection.execute(
            "select audit.append(%s, %s::jsonb)", (tenant_id, part), prepare=True
        )
