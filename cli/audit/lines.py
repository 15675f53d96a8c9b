"""An export of a chain, `coffer/audit-export/1`: JSON Lines, an event each, and the head as the last line.

Every chained field is there as it was hashed (docs/audit.md): `details` is a text, and beside the readable
`created_at` (UTC, six decimals) the microseconds that the hash is of. Pure.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from services.common.audit_chain import GENESIS, ChainWalk, Ends, Head, StoredEvent, microseconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

FORMAT: Final = "coffer/audit-export/1"
MAX_LINE: Final = 1024 * 1024
"""Bytes of a line; an event's are a few hundred."""
_END: Final = frozenset(("format", "tenant_id", "from", "head", "exported_at", "signed_head"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class BrokenError(Exception):
    """The export does not hold from the event `seq` on; the text says what is wrong."""

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(why)
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Checked:
    """An export that holds. `seen` has the hashes of the events that were asked for."""

    tenant_id: str
    first: int
    events: int
    head: Head
    signed_head: str | None
    seen: dict[int, bytes]


def event_line(event: StoredEvent) -> str:
    """One event."""
    row = {
        "seq": event.seq,
        "tenant_id": str(event.tenant_id),
        "id": str(event.id),
        "action": event.action,
        "resource_type": event.resource_type,
        "resource_id": event.resource_id,
        "actor": event.actor,
        "details": event.details,
        "ip_address": event.ip_address,
        "request_id": event.request_id,
        "created_at": _readable(event.created_at),
        "created_at_microseconds": microseconds(event.created_at),
        "previous_hash": event.previous_hash.hex(),
        "hash": event.hash.hex(),
    }
    return json.dumps(row, separators=(",", ":"))


def head_line(
    tenant_id: str, first: int, head: Head, exported_at: datetime, signed_head: str | None
) -> str:
    """The last line."""
    row = {
        "format": FORMAT,
        "tenant_id": tenant_id,
        "from": first,
        "head": {"seq": head.seq, "hash": head.hash.hex()},
        "exported_at": _readable(exported_at),
        "signed_head": signed_head,
    }
    return json.dumps(row, separators=(",", ":"))


def check_lines(lines: Iterable[bytes], wanted: Collection[int] = ()) -> Checked:
    """Verify an export by itself. Raises BrokenError naming the first event that does not hold.

    `wanted` are numbers of events whose hashes are to be in the result. Not promised: that events before the
    first of the export are not left out; and see ChainWalk.
    """
    walk, tenant_id, last = ChainWalk(), None, Head()
    seen: dict[int, bytes] = {}
    rows = iter(lines)
    for line in rows:
        row = _object(line, walk.next)
        if "head" in row:
            if next(rows, None) is not None:
                raise BrokenError(walk.next, "there is more after the line with the head")
            return _end(row, walk, last, tenant_id, seen)
        event = _event(row, walk.next)
        if tenant_id is None:
            tenant_id = event.tenant_id
            if event.seq > 1:
                walk = ChainWalk(event.seq, event.previous_hash)
        if event.tenant_id != tenant_id:
            raise BrokenError(walk.next, "it is of another tenant")
        if not walk.take(event):
            raise BrokenError(
                walk.first_broken or walk.next, "it does not follow from the one before"
            )
        last = Head(event.seq, event.hash)
        if event.seq in wanted:
            seen[event.seq] = event.hash
    raise BrokenError(walk.next, "the export ends before its last line, the one with the head")


def _end(
    row: dict[str, Any],
    walk: ChainWalk,
    last: Head,
    tenant_id: uuid.UUID | None,
    seen: dict[int, bytes],
) -> Checked:
    try:
        head = Head(_integer(row["head"]["seq"]), _digest(row["head"]["hash"]))
        first, signed = _integer(row["from"]), row["signed_head"]
        told = uuid.UUID(_text(row["tenant_id"]))
        if row["format"] != FORMAT or not (signed is None or isinstance(signed, str)):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise BrokenError(walk.next, "the line with the head is damaged") from None
    begin = walk.next - walk.events if walk.events else first
    if begin != first:
        why = f"the events begin with {begin}, and the line with the head says {first}"
        raise BrokenError(min(begin, first), why)
    if tenant_id not in {None, told}:
        raise BrokenError(begin, "the line with the head is of another export")
    if row.keys() != _END:
        raise BrokenError(walk.next, "the line with the head has members that are unknown")
    if not walk.events and first > 1:
        # It may name any hash: what is before is not in the export, and nobody says that it was looked at.
        last = Head(first - 1, head.hash)
    walk.end(Ends(head, last, GENESIS))
    if walk.first_broken is not None:
        raise BrokenError(walk.first_broken, "the events do not end with the head")
    return Checked(str(told), first, walk.events, head, signed, seen)


def _event(row: dict[str, Any], expected: int) -> StoredEvent:
    try:
        at = _EPOCH + timedelta(microseconds=_integer(row.pop("created_at_microseconds")))
        if row.pop("created_at") != _readable(at):
            raise ValueError
        return StoredEvent(
            tenant_id=_uuid(row.pop("tenant_id")),
            seq=_integer(row.pop("seq")),
            id=_uuid(row.pop("id")),
            action=_text(row.pop("action")),
            resource_type=_text(row.pop("resource_type")),
            resource_id=_optional(row.pop("resource_id")),
            actor=_text(row.pop("actor")),
            details=_text(row.pop("details")),
            ip_address=_optional(row.pop("ip_address")),
            request_id=_optional(row.pop("request_id")),
            created_at=at,
            previous_hash=_digest(row.pop("previous_hash")),
            hash=_digest(row.pop("hash")),
            **row,  # what we do not know was not hashed
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise BrokenError(expected, "the line is no event as it was exported") from None


def _object(line: bytes, expected: int) -> dict[str, Any]:
    try:
        row = json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise BrokenError(expected, "the line is no JSON object")
    return row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _integer(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a lone surrogate is no text
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _uuid(value: object) -> uuid.UUID:
    found = uuid.UUID(_text(value))
    if str(found) != value:
        raise ValueError
    return found


def _digest(value: object) -> bytes:
    text = _text(value)
    if not _HASH.fullmatch(text):
        raise ValueError
    return bytes.fromhex(text)


def _readable(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
