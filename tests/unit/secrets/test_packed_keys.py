"""Packed data keys: what is left out when some of a batch did not open, and where a lane goes on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from services.common.errors import TenantSealedError
from services.secrets.leases import Moved, RewrapOrder, RewrapOutcome, StaleKeys
from services.secrets.model import KeyFault, Rewrapped
from services.secrets.rewrap_batch import BEFORE_ANY, RewrapBatch
from tests.fakes.secrets_ports import Watching

if TYPE_CHECKING:
    from collections.abc import Mapping

TENANT = uuid4()
LAST = UUID(int=2**128 - 1)
IDS = sorted(uuid4() for _ in range(5))
STALE = StaleKeys(b"".join(one.bytes + os.urandom(68) for one in IDS), LAST, finished=True)
FRESH = os.urandom(68 * len(IDS))


@dataclass
class Scene:
    """Store and kms in one; keeps what was swapped."""

    faults: Mapping[int, KeyFault]
    moved: Moved = field(default_factory=Moved)
    saved: dict[str, Any] = field(default_factory=dict)

    async def stale(self, _order: RewrapOrder) -> StaleKeys:
        return STALE

    async def rewrap(self, _tenant_id: UUID, packed: bytes) -> Rewrapped:
        assert packed == STALE.packed
        return Rewrapped(2, FRESH, self.faults)

    async def swap(self, _order: RewrapOrder, moved: Moved, **saved: Any) -> RewrapOutcome:
        self.moved, self.saved = moved, saved
        return RewrapOutcome(len(moved), 0, 0, saved["cursor"], lane_finished=saved["finished"])

    async def run(self) -> RewrapOutcome:
        order = RewrapOrder(TENANT, 1, 1, 0, 2, None, LAST, 5)
        batch = RewrapBatch(self, self, Watching())  # type: ignore[arg-type]
        return await batch.run(order)

    def places(self) -> list[int]:
        """Which of IDS were moved, each with its own new wrap."""
        found = []
        for at in range(len(self.moved)):
            record = self.moved.old[at * 84 : (at + 1) * 84]
            place = IDS.index(UUID(bytes=record[:16]))
            assert record == STALE.packed[place * 84 : (place + 1) * 84]
            assert self.moved.new[at * 68 : (at + 1) * 68] == FRESH[place * 68 : (place + 1) * 68]
            found.append(place)
        return found


@pytest.mark.parametrize("places", [[], [0], [4], [1, 2], [0, 2, 4], [0, 1, 2, 3, 4]])
async def test_what_did_not_open_is_left_out_and_every_other_keeps_its_own_wrap(
    places: list[int],
) -> None:
    scene = Scene(dict.fromkeys(places, KeyFault.DAMAGED))
    done = await scene.run()
    assert scene.places() == [place for place in range(5) if place not in places]
    assert scene.saved["failed"] == [IDS[place] for place in places]
    assert (done.cursor, done.lane_finished) == (LAST, True)


async def test_a_lane_goes_on_from_the_first_sealed_key_and_counts_later_ones_then() -> None:
    scene = Scene({1: KeyFault.REVOKED, 2: KeyFault.SEALED, 3: KeyFault.DAMAGED})
    done = await scene.run()
    assert scene.places() == [0, 4]
    assert (scene.saved["passed_over"], scene.saved["failed"]) == (1, [])
    assert (done.cursor, done.lane_finished) == (IDS[1], False)


async def test_a_sealed_key_at_the_very_beginning_lets_others_move_or_makes_the_lease_wait() -> (
    None
):
    scene = Scene({0: KeyFault.SEALED})
    assert (await scene.run()).cursor == BEFORE_ANY
    assert scene.places() == [1, 2, 3, 4]
    with pytest.raises(TenantSealedError):
        await Scene(dict.fromkeys(range(5), KeyFault.SEALED)).run()
