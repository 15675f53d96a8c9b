"""The hash chain of audit events: what an event's hash is made of, and walking a chain. Pure.

The chain's bytes are made by `audit.append` in the database; `link` is the same in Python, so that anybody
can verify a chain without the database (docs/audit.md).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

_FORMAT: Final = b"CAE1"
GENESIS: Final = hashlib.sha256(_FORMAT).digest()
"""The hash before a tenant's first event."""
COLUMNS: Final = (
    "tenant_id, seq, id, action, resource_type, resource_id, actor, details, ip_address, request_id,"
    " created_at, previous_hash, hash"
)
"""Of `audit.event`, in the order of StoredEvent."""
ENDS: Final = """
select h.seq, h.hash, l.seq, l.hash, b.hash from (values (%(tenant)s::uuid)) t (id)
left join audit.head h on h.tenant_id = t.id
left join lateral (
    select e.seq, e.hash from audit.event e where e.tenant_id = t.id order by e.seq desc limit 1
) l on true
left join audit.event b on b.tenant_id = t.id and b.seq = %(before)s::bigint
"""
"""The one row of which `ends_of` makes Ends; `before` is the number before the first of the walk."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NULL: Final = (-1).to_bytes(4, "big", signed=True)


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


def link(event: StoredEvent) -> bytes:
    """The hash that `event` must have: SHA-256 over the format, the previous hash and every field."""
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
        str(microseconds(event.created_at)),
    )
    return hashlib.sha256(_FORMAT + event.previous_hash + b"".join(map(_field, texts))).digest()


def microseconds(moment: datetime) -> int:
    """Since 1970 in UTC, exactly: as a moment stands in the chain."""
    return (moment - _EPOCH) // _MICROSECOND


def first_broken(events: Sequence[StoredEvent]) -> int | None:
    """The sequence number of the first event that does not follow from the one before, else None.

    `events` is a whole chain from 1, in order. Not promised: that no event was cut from the end; only a
    head kept elsewhere shows that.
    """
    walk = ChainWalk()
    for event in events:
        if not walk.take(event):
            break
    return walk.first_broken


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of a chain: how many events there are, and its hash."""

    seq: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class Ends:
    """What is found at one moment at the two ends of a walk.

    `head` is the row that says which event is the last, `last` the event that really is. `before` is the
    stored hash of the event before the first of the walk, None where there is no such event.
    """

    head: Head
    last: Head
    before: bytes | None

    @property
    def until(self) -> int:
        """The number of the last event there is, or should be."""
        return max(self.head.seq, self.last.seq)


def ends_of(row: Sequence[Any] | None, first: int) -> Ends:
    """From the row of ENDS, for a walk that begins at `first`."""
    found: Sequence[Any] = row or (None,) * 5
    head_seq, head_hash, last_seq, last_hash, before = found
    return Ends(
        Head() if head_seq is None else Head(head_seq, head_hash),
        Head() if last_seq is None else Head(last_seq, last_hash),
        GENESIS if first == 1 else before,
    )


class ChainWalk:
    """Goes along a chain, event by event, and says where it breaks.

    Promised: with nothing broken each event taken has the hash that its fields and the one before it make.
    Not promised: that nobody with a database superuser's rights made all of it anew from some event on;
    that shows only against a head that was kept elsewhere.
    """

    def __init__(self, first: int = 1, before: bytes | None = GENESIS) -> None:
        """`before` is the hash of the event before `first`; None: there is none, which breaks the chain."""
        self.next = first
        self.first_broken = None if before is not None else first - 1
        self.events = 0
        self._previous = before if before is not None else GENESIS

    def take(self, event: StoredEvent) -> bool:
        """Look at the next event. False where the chain is broken: then what follows proves nothing."""
        if self.first_broken is not None:
            return False
        self.events += 1
        if (
            event.seq != self.next
            or event.previous_hash != self._previous
            or link(event) != event.hash
        ):
            self.first_broken = self.next
            return False
        self.next += 1
        self._previous = event.hash
        return True

    def miss(self) -> None:
        """There is no next event, although there should be."""
        if self.first_broken is None:
            self.first_broken = self.next

    def end(self, ends: Ends) -> None:
        """All were taken: look whether the last of them is the one that the head names."""
        head, last = ends.head, ends.last
        if self.first_broken is not None or head == last:
            return
        if head.seq == last.seq:
            self.first_broken = max(1, last.seq)
        else:
            self.first_broken = min(head.seq, last.seq) + 1


def _field(text: str | None) -> bytes:
    if text is None:
        return _NULL
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded
