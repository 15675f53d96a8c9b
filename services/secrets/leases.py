"""The values of a rewrap, of which this service does one batch at a time. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from services.common.envelope import DATA_KEY_RECORD_BYTES, WRAPPED_DATA_KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

_ID_BYTES: Final = 16


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

    `packed` are records of 84 bytes (id, wrapped), as they came and as they go to kms: nothing is made of
    each key alone. `cursor` is the end of that part: nothing else is stale up to there. `finished`: that is
    the lane's. `unreadable`: the key that ends the part, of whatever version, since its row cannot be read.
    """

    packed: bytes = field(repr=False)
    cursor: UUID
    finished: bool
    unreadable: UUID | None = None

    def __len__(self) -> int:
        return len(self.packed) // DATA_KEY_RECORD_BYTES

    def id(self, place: int) -> UUID:
        """The id of the key at a place from 0."""
        return _id(self.packed, place)


@dataclass(frozen=True, slots=True)
class Moved:
    """Data keys and their new wraps, both by id: records of 84 bytes (id, wrapped) and of 68.

    A new one is stored only where the old one still is.
    """

    old: bytes = field(default=b"", repr=False)
    new: bytes = field(default=b"", repr=False)

    def __len__(self) -> int:
        return len(self.new) // WRAPPED_DATA_KEY_BYTES

    def id(self, place: int) -> UUID:
        """The id of the key at a place from 0; -1 is the last."""
        return _id(self.old, place % len(self))

    def without(self, places: Sequence[int]) -> Moved:
        """All but those at `places`, which ascend."""
        if not places:
            return self
        return Moved(
            _without(self.old, DATA_KEY_RECORD_BYTES, places),
            _without(self.new, WRAPPED_DATA_KEY_BYTES, places),
        )


@dataclass(frozen=True, slots=True)
class RewrapOutcome:
    """What a batch did, as it was saved with the lease."""

    done: int
    skipped: int
    failed: int
    cursor: UUID
    lane_finished: bool


def _id(packed: bytes, place: int) -> UUID:
    start = place * DATA_KEY_RECORD_BYTES
    return UUID(bytes=packed[start : start + _ID_BYTES])


def _without(packed: bytes, size: int, places: Sequence[int]) -> bytes:
    edges = [-1, *places, len(packed) // size]
    return b"".join(
        packed[(before + 1) * size : after * size] for before, after in itertools.pairwise(edges)
    )
