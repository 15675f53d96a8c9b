"""Where a chain is said to break: at the first event that does not follow, and at one that is missing."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.common.audit_chain import (
    GENESIS,
    ChainWalk,
    Ends,
    Head,
    StoredEvent,
    first_broken,
    link,
)

TENANT = uuid.UUID(int=1)
START = datetime(2026, 3, 15, 12, 0, 0, 123456, UTC)


def chain(length: int) -> list[StoredEvent]:
    events: list[StoredEvent] = []
    previous = GENESIS
    for seq in range(1, length + 1):
        bare = StoredEvent(
            tenant_id=TENANT,
            seq=seq,
            id=uuid.UUID(int=1000 + seq),
            action="secret.created",
            resource_type="secret",
            resource_id=None if seq % 2 else "ü",
            actor="api_key:k",
            details='{"n":1}',
            ip_address=None,
            request_id="r",
            created_at=START + timedelta(microseconds=seq),
            previous_hash=previous,
            hash=b"",
        )
        events.append(replace(bare, hash=link(bare)))
        previous = events[-1].hash
    return events


def head_of(events: list[StoredEvent]) -> Head:
    return Head(events[-1].seq, events[-1].hash) if events else Head()


def walked(events: list[StoredEvent], head: Head, first: int = 1) -> ChainWalk:
    before = {event.seq: event.hash for event in events}.get(first - 1)
    walk = ChainWalk(first, GENESIS if first == 1 else before)
    for event in events:
        if event.seq >= first:
            walk.take(event)
    walk.end(Ends(head, head_of(events), before))
    return walk


def test_the_bytes_that_are_hashed_are_for_ever() -> None:
    """Written down from a chain of the first release: the format has no other."""
    assert GENESIS.hex() == "0ce32772f87929f82200bb041944401ec348890686c20df6a680c1e20aca1ef8"
    assert [event.hash.hex() for event in chain(2)] == [
        "e3c7733263cd469aa292584a7aa2539a10affbe65b0150e906e6ea20d87b3243",
        "80afe2e2ce36c041b5f6a44ad15ab0b20706b59ca63c277343f56e2c7a0ac512",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"action": "secret.deleted"},
        {"resource_type": "x"},
        {"resource_id": ""},
        {"actor": "api_key:other"},
        {"details": "{}"},
        {"ip_address": "127.0.0.1"},
        {"request_id": None},
        {"created_at": START},
        {"id": uuid.UUID(int=5)},
        {"tenant_id": uuid.UUID(int=2)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_any_field_breaks_the_chain_at_its_event(change: dict[str, object]) -> None:
    events = chain(5)
    events[2] = replace(events[2], **change)  # type: ignore[arg-type]
    assert first_broken(events) == 3


def test_who_makes_a_changed_events_hash_anew_breaks_the_link_of_the_next() -> None:
    events = chain(5)
    forged = replace(events[2], actor="nobody")
    events[2] = replace(forged, hash=link(forged))
    assert first_broken(events) == 4


def test_a_missing_event_is_named_wherever_it_was() -> None:
    whole = chain(5)
    head = head_of(whole)
    for seq in range(1, 6):
        events = [event for event in whole if event.seq != seq]
        assert walked(events, head).first_broken == seq


def test_an_end_that_was_cut_off_shows_also_with_a_head_that_was_cut_to_fit_badly() -> None:
    events = chain(5)
    assert walked(events[:3], head_of(events)).first_broken == 4
    assert walked([], head_of(events)).first_broken == 1
    assert walked(events, head_of(events[:3])).first_broken == 4
    assert walked(events, Head(5, bytes(32))).first_broken == 5
    assert walked(events, Head()).first_broken == 1
    assert walked(events, head_of(events)).first_broken is None
    assert walked([], Head()).first_broken is None


def test_a_walk_from_the_middle_looks_at_the_link_into_its_first_event() -> None:
    events = chain(5)
    whole = walked(events, head_of(events), first=4)
    assert (whole.first_broken, whole.events) == (None, 2)
    assert walked(events, head_of(events), first=6).first_broken is None
    events[2] = replace(events[2], hash=bytes(32))
    assert walked(events, head_of(events), first=4).first_broken == 4
    del events[2]
    assert walked(events, head_of(events), first=4).first_broken == 3
