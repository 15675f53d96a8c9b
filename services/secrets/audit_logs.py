"""The tenant's audit events, as its clients read them: pages, a feed, and the proof of the chain. Pure.

The feed never skips and never reorders, however many append: numbers become visible in their order (see
services/common/audit.py), so what was read up to a number is all there will ever be up to it. A cursor is
that number. Not promised: that an event is delivered once only; an older cursor gives it again.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from services.common.audit_chain import ChainWalk
from services.common.errors import DeadlineError, ValidationError
from services.secrets.paging import page_of, paging
from services.secrets.shares import Room, Shares
from services.secrets.values import Faults, has_control

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from services.common.audit_chain import Ends, StoredEvent
    from services.common.identity import Call
    from services.secrets.paging import Numbers, Paging

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
MAX_FILTER: Final = 128
"""Characters of a filter; no action is longer."""
CHUNK: Final = 250
"""Events that are read in a row, about two milliseconds: then other calls have their turn."""
SLICE: Final = 50
"""Events that are hashed in a row, less than a millisecond: likewise."""
WALKS: Final = 2
"""Walks along chains at a time in this process, of different tenants: each keeps it busy."""
MAX_FILTERED: Final = 100_000
"""How far a page with filters may be from the newest event: every row before it is gone through."""
_WAITING: Final = Room(calls=256)
_ALL_WAITING: Final = Room(calls=4096)
_TOO_FAR: Final = (
    f"Is too far: with a filter, the newest {MAX_FILTERED:,} can be paged through. Narrow the filter, or read"
    " /v1/audit-logs/events."
)
_SPARE_SECONDS: Final = 1.0
"""Of the call's time, for the answer."""
_CURSOR_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Filters:
    """Which events; None: whichever."""

    action: str | None = None
    action_prefix: str | None = None
    resource_type: str | None = None

    def __bool__(self) -> bool:
        return not (self.action is self.action_prefix is self.resource_type is None)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the feed. `next_cursor` None: there is no more at present."""

    events: Sequence[StoredEvent]
    next_cursor: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk along the chain found; `head` is the stored hash of the last event there is."""

    events: int
    head: bytes
    first_broken: int | None


class AuditStore(Protocol):
    """Stored events. Raises UnavailableError and DeadlineError."""

    async def page(
        self, tenant_id: UUID, filters: Filters, page: Paging
    ) -> tuple[int, Sequence[StoredEvent]]:
        """How many match, and those on the page, newest first."""
        ...

    async def following(
        self, tenant_id: UUID, filters: Filters, after: int, limit: int
    ) -> Sequence[StoredEvent]:
        """The first `limit` that match beyond the number `after`, oldest first, of one moment."""
        ...

    async def ends(self, tenant_id: UUID, first: int) -> Ends:
        """What a walk from `first` on begins and ends with, of one moment."""
        ...

    async def stretch(
        self, tenant_id: UUID, first: int, until: int, limit: int
    ) -> Sequence[StoredEvent]:
        """At most `limit` events from the number `first` to `until`, oldest first."""
        ...


class AuditLogs:
    """Reads the events of the call's tenant. Changes nothing, and leaves no event."""

    def __init__(self, store: AuditStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._walks = Shares(WALKS, each=1, waiting=_WAITING, all_waiting=_ALL_WAITING)

    async def list(
        self, call: Call, filters: Filters, page: int | None, per_page: int | None
    ) -> tuple[Sequence[StoredEvent], Numbers]:
        """A page, newest first. Raises validation_error, also for a page too far back with filters."""
        faults = Faults()
        asked = paging(page, per_page, faults)
        if filters and asked.offset + asked.per_page > MAX_FILTERED and not faults:
            faults.add("page", _TOO_FAR)
        _check(filters, faults)
        faults.raise_any()
        total, events = await self._store.page(call.tenant, filters, asked)
        return events, page_of(total, asked)

    async def events(
        self, call: Call, filters: Filters, cursor: str | None, limit: int | None
    ) -> Piece:
        """The next piece of the feed. Raises validation_error, also for a cursor beyond the last event."""
        faults = Faults()
        after = _parse_cursor(cursor, faults)
        rows = DEFAULT_LIMIT if limit is None else limit
        if not 1 <= rows <= MAX_LIMIT:
            faults.add("limit", f"Must be 1 to {MAX_LIMIT}.")
        _check(filters, faults)
        faults.raise_any()
        # One more than asked for tells whether there is more.
        found = await self._store.following(call.tenant, filters, after, rows + 1)
        if not found and after and (await self._store.ends(call.tenant, 1)).until < after:
            raise ValidationError.of(
                "cursor", "Is beyond the last event: not of this tenant's feed."
            )
        events = found[:rows]
        return Piece(events, cursor_of(events[-1]) if len(found) > rows else None, rows)

    async def verify(self, call: Call, first: int | None) -> Verification:
        """Walk along the chain from the event `first` (1) to the last.

        One walk of a tenant at a time, two in all, and tenants take turns: others wait. Raises
        validation_error for a `first` beyond the end, timeout naming the event to go on from, unavailable
        when too many wait.
        """
        start = 1 if first is None else first
        if start < 1:
            raise ValidationError.of("from", "Must be 1 or more.")
        async with self._walks.of(call.tenant):
            ends = await self._store.ends(call.tenant, start)
            if start > ends.until + 1:
                raise ValidationError.of(
                    "from", f"Is beyond the end: there are {ends.until} events."
                )
            walk = ChainWalk(start, ends.before)
            await self._walk(call, walk, ends)
        walk.end(ends)
        return Verification(walk.events, ends.last.hash, walk.first_broken)

    async def _walk(self, call: Call, walk: ChainWalk, ends: Ends) -> None:
        while walk.first_broken is None and walk.next <= ends.last.seq:
            if call.deadline is not None and self._clock() > call.deadline - _SPARE_SECONDS:
                raise DeadlineError(
                    f"The events up to {walk.next - 1} hold; go on with from={walk.next}."
                )
            chunk = await self._store.stretch(call.tenant, walk.next, ends.last.seq, CHUNK)
            if not chunk:
                walk.miss()
            for at in range(0, len(chunk), SLICE):
                for event in chunk[at : at + SLICE]:
                    walk.take(event)
                await asyncio.sleep(0)


def cursor_of(event: StoredEvent) -> str:
    """Where the feed goes on after the event."""
    return _encode(event.seq)


def _encode(seq: int) -> str:
    return base64.urlsafe_b64encode(seq.to_bytes(_CURSOR_BYTES, "big")).rstrip(b"=").decode()


def _parse_cursor(cursor: str | None, faults: Faults) -> int:
    """The number in a cursor; 0 to begin."""
    if cursor is None:
        return 0
    try:
        seq = int.from_bytes(base64.b64decode(cursor.encode() + b"=", b"-_", validate=True), "big")
        if 0 < seq < 2**63 and _encode(seq) == cursor:
            return seq
    except (binascii.Error, OverflowError):
        pass
    faults.add("cursor", "Is not a cursor of this feed; leave it out to begin.")
    return 0


def _check(filters: Filters, faults: Faults) -> None:
    for field in ("action", "action_prefix", "resource_type"):
        sent = getattr(filters, field)
        if sent is not None and not 1 <= len(sent) <= MAX_FILTER:
            faults.add(field, f"Must be 1 to {MAX_FILTER} characters.")
        if sent is not None and has_control(sent):
            faults.add(field, "Must not hold control characters.")
