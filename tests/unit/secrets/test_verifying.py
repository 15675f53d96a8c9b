"""Verifying in parts: nothing is kept open, nothing is counted that was not opened, nothing is left out."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from services.common import envelope
from services.common.envelope import FieldFacts
from services.common.errors import InvalidStateError, TenantSealedError
from services.common.sensitive import SecretBytes
from services.secrets.leases import LeaseRefusedError
from services.secrets.model import KeyFault, KeySealed, WrappedKey
from services.secrets.verifying import (
    Sample,
    SampledKey,
    SealedField,
    VerifyBatch,
    VerifyOrder,
    VerifyOutcome,
)
from tests.fakes.secrets_ports import Watching

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST = UUID(int=2**128 - 1)
ORDER = VerifyOrder(uuid.uuid4(), 1, 2, 0, 3, None, LAST, 100)
PART = 4


def wrap(version: int = ORDER.target_version) -> bytes:
    return b"KCT1" + version.to_bytes(4, "big") + bytes(60)


@dataclass
class World:
    """Implements SampleStore and the part of Kms that opens data keys, in memory."""

    keys: list[SampledKey] = field(default_factory=list)
    open_keys: dict[UUID, Any] = field(default_factory=dict)
    given: list[SecretBytes] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    recorded: list[Any] = field(default_factory=list)
    refuses: bool = False
    window: int = 1000

    def add(self, answer: KeyFault | KeySealed | None = None, *, version: int = 3) -> UUID:
        """A stored data key with its value; `answer` instead of the key from kms."""
        key_id, plain = UUID(int=len(self.keys) + 1), os.urandom(32)
        facts = FieldFacts(ORDER.tenant_id, uuid.uuid4(), uuid.uuid4(), 1, key_id)
        sealed = envelope.seal(plain, facts, "value", b"a secret")
        at = SealedField(facts.secret_id, facts.environment_id, 1, "value", sealed)
        self.keys.append(SampledKey(WrappedKey(key_id, wrap(version), 3), at))
        self.open_keys[key_id] = answer or plain
        return key_id

    async def sample(self, order: VerifyOrder, after: UUID, limit: int) -> Sample:
        left = [one for one in self.keys if one.key.id > after]
        found = tuple(left[: min(limit, PART, self.window)])
        self.asked.append(len(found))
        if len(found) == len(left):
            return Sample(found, order.until, finished=True, cut=False)
        if len(found) >= self.window:
            return Sample(found, found[-1].key.id, finished=False, cut=False)
        return Sample(found, found[-1].key.id, finished=False, cut=len(found) < limit)

    async def unwrap(
        self, tenant_id: UUID, keys: Sequence[WrappedKey]
    ) -> list[SecretBytes | KeyFault | KeySealed]:
        answers = [self.open_keys[key.id] for key in keys]
        made = [SecretBytes(one) if isinstance(one, bytes) else one for one in answers]
        self.given.extend(one for one in made if isinstance(one, SecretBytes))
        return made

    async def record(
        self,
        order: VerifyOrder,
        *,
        verified: int,
        failed: Sequence[UUID],
        cursor: UUID,
        finished: bool,
    ) -> VerifyOutcome:
        if self.refuses:
            raise LeaseRefusedError
        self.recorded.append((verified, list(failed), cursor, finished))
        return VerifyOutcome(verified, len(failed), cursor, finished)

    @property
    def batch(self) -> VerifyBatch:
        kms: Any = self
        return VerifyBatch(self, kms, Watching())

    @property
    def open_still(self) -> int:
        return sum(len(key) > 0 for key in self.given)


def order(limit: int, *, last: bool = False, pass_over: bool = False) -> VerifyOrder:
    facts = {name: getattr(ORDER, name) for name in VerifyOrder.__slots__}
    return VerifyOrder(**facts | {"limit": limit, "last": last, "pass_over": pass_over})


async def test_a_batch_goes_on_over_parts_until_its_limit_or_the_lanes_end() -> None:
    world = World()
    ids = [world.add() for _ in range(11)]
    await world.batch.run(order(6))
    assert world.asked == [4, 2]
    assert world.recorded == [(6, [], ids[5], False)]
    await world.batch.run(order(6, last=True))
    assert world.recorded[-1][3] is True
    await world.batch.run(order(100))
    assert world.recorded[-1] == (11, [], LAST, True)
    assert (len(world.given), world.open_still) == (23, 0)


async def test_the_last_batch_goes_no_further_than_it_looked_when_it_found_less() -> None:
    """Among keys of other versions only so many are looked at: the lane goes on from there."""
    world = World(window=3)
    ids = [world.add() for _ in range(8)]
    await world.batch.run(order(6, last=True))
    assert world.recorded == [(3, [], ids[2], False)]


async def test_a_key_without_a_value_is_not_verified() -> None:
    world = World()
    orphan = world.add()
    world.keys[0] = SampledKey(world.keys[0].key, None)
    await world.batch.run(ORDER)
    assert world.recorded == [(0, [orphan], LAST, True)]
    assert world.open_still == 0


async def test_what_kms_cannot_open_is_told_apart() -> None:
    world = World()
    world.add()
    world.add(KeyFault.REVOKED)
    wrong = [world.add(KeyFault.DAMAGED), world.add(version=2)]
    await world.batch.run(ORDER)
    assert world.recorded == [(1, wrong, LAST, True)]
    assert world.open_still == 0


@pytest.mark.parametrize("sealed", [KeySealed("access_denied"), KeyFault.SEALED])
async def test_sealed_in_the_second_part_saves_nothing_and_leaves_no_key_open(
    sealed: KeySealed | KeyFault,
) -> None:
    world = World()
    for _ in range(6):
        world.add()
    world.add(sealed)
    with pytest.raises(TenantSealedError):
        await world.batch.run(ORDER)
    assert world.recorded == []
    assert (len(world.given), world.open_still) == (6, 0)


async def test_a_key_that_is_passed_over_is_not_opened_and_the_lane_goes_on_after_it() -> None:
    world = World()
    ids = [world.add() for _ in range(3)]
    world.keys[0] = SampledKey(world.keys[0].key, None)
    await world.batch.run(order(1, pass_over=True))
    await world.batch.run(order(1, last=True, pass_over=True))
    assert world.recorded == [(0, ids[:1], ids[0], False), (0, ids[:1], ids[0], True)]
    assert world.given == []


async def test_an_overtaken_worker_is_told_by_its_fence() -> None:
    world = World(refuses=True)
    world.add()
    with pytest.raises(InvalidStateError) as caught:
        await world.batch.run(ORDER)
    assert caught.value.reason == "fence"


async def test_nothing_that_is_held_while_verifying_shows_what_is_in_it() -> None:
    world = World()
    world.add()
    sealed = world.keys[0].field
    assert sealed is not None
    assert sealed.sealed is not None
    assert repr(sealed.sealed) not in repr(world.keys)
