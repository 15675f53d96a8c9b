"""The values of a rewrap, of which this service does one batch at a time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


class LeaseRefusedError(Exception):
    """The lease is not running under this fence, or the lane has moved on. Nothing was written."""


@dataclass(frozen=True, slots=True)
class RewrapOrder:
    """One batch of a lease: the stale data keys after `after` up to `until`, at most `limit`.

    `pass_over`: the first of them is not tried but recorded as failed, and nothing else is done.
    """

    tenant_id: UUID
    lease_id: int
    fence: int
    lane: int
    target_version: int
    after: UUID | None
    until: UUID
    limit: int
    pass_over: bool = False


@dataclass(frozen=True, slots=True)
class StaleKeys:
    """Data keys of retired versions, by id, as they were found in a part of a lane.

    `cursor` is the end of that part: nothing else is stale up to there. `finished`: that is the lane's.
    """

    keys: tuple[tuple[UUID, bytes], ...]
    cursor: UUID
    finished: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """A data key and its new wrap; it is stored only where `old` still is."""

    id: UUID
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class RewrapOutcome:
    """What a batch did, as it was saved with the lease."""

    done: int
    skipped: int
    failed: int
    cursor: UUID
    lane_finished: bool
