"""Audit events: appended in the transaction of the change they tell of, chained by SHA-256.

No audit, no change: `append` is the last statement before the commit, and its failure undoes all. The
chain's bytes are made by `audit.append` in the database; `link` is the same in Python, so that anybody
can verify a chain without the database.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from services.common.database import Connection
    from services.common.identity import Call

_FORMAT: Final = b"CAE1"
GENESIS: Final = hashlib.sha256(_FORMAT).digest()
"""The hash before a tenant's first event."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to which thing. `details` holds facts for people, never a secret."""

    action: str
    resource_type: str
    resource_id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of `audit.event`."""

    tenant_id: UUID
    seq: int
    id: UUID
    action: str
    resource_type: str
    resource_id: str | None
    actor: str
    details: str
    ip_address: str | None
    request_id: str | None
    created_at: datetime
    previous_hash: bytes
    hash: bytes


async def append(
    connection: Connection, tenant_id: UUID, call: Call, events: Sequence[Event]
) -> None:
    """Append `events` in the caller's transaction, which must be held to `tenant_id`."""
    await append_each(connection, tenant_id, [(call, event) for event in events])


async def append_each(
    connection: Connection, tenant_id: UUID, entries: Sequence[tuple[Call, Event]]
) -> None:
    """As `append`, for the events of several calls whose changes are committed together."""
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
    await connection.execute(
        "select audit.append(%s, %s::jsonb)", (tenant_id, json.dumps(rows)), prepare=True
    )


def link(event: StoredEvent) -> bytes:
    """The hash that `event` must have: SHA-256 over the format, the previous hash and every field."""
    microseconds = (event.created_at - _EPOCH) // timedelta(microseconds=1)
    texts = (
        str(event.tenant_id),
        str(event.seq),
        str(event.id),
        event.action,
        event.resource_type,
        event.resource_id,
        event.actor,
        event.details,
        event.ip_address,
        event.request_id,
        str(microseconds),
    )
    return hashlib.sha256(_FORMAT + event.previous_hash + b"".join(map(_field, texts))).digest()


def first_broken(events: Sequence[StoredEvent]) -> int | None:
    """The sequence number of the first event that does not follow from the one before, else None.

    `events` is a whole chain from 1, in order. Not promised: that no event was cut from the end; only a
    head kept elsewhere shows that.
    """
    previous = GENESIS
    for expected, event in enumerate(events, start=1):
        if event.seq != expected or event.previous_hash != previous or link(event) != event.hash:
            return expected
        previous = event.hash
    return None


def _field(text: str | None) -> bytes:
    if text is None:
        return struct.pack(">i", -1)
    encoded = text.encode()
    return struct.pack(">i", len(encoded)) + encoded
