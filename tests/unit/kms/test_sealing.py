"""When sealed bindings are tried again: each in its time, not all at once, for as long as it is of use."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime

import pytest

from services.common.errors import TenantSealedError
from services.kms.keys.sealing import Seals
from services.kms.model import Binding, KmsTarget, Reason
from tests.fakes.kms_keys import RETRY, FakeClock

MANY = 50


def binding(*, replaced: bool = False) -> Binding:
    target = KmsTarget("aws", "k", {})
    return Binding(uuid.uuid4(), uuid.uuid4(), target, replaced, sealed_since=datetime.now(UTC))


def test_several_bindings_are_each_tried_every_30_seconds_and_not_together() -> None:
    clock, chance = FakeClock(), random.Random(3)
    seals = Seals(RETRY, clock, jitter=chance.uniform)
    bindings = [binding() for _ in range(MANY)]
    for one in bindings:
        seals.add(one, 1, Reason.KEY_DISABLED, sealed=True)
    tried: dict[uuid.UUID, list[float]] = {one.id: [] for one in bindings}
    crowd = 0
    started = clock.now
    while clock.now < started + 10 * RETRY:
        clock.now += 0.1
        due = seals.due(MANY)
        crowd = max(crowd, len(due))
        for ailing in due:
            tried[ailing.binding.id].append(clock.now)
            seals.add(ailing.binding, 1, Reason.KEY_DISABLED, sealed=True, asked=False)
    assert len(seals) == MANY
    for times in tried.values():
        pauses = [b - a for a, b in zip([started, *times], times, strict=False)]
        assert 9 <= len(times) <= 12
        assert all(0.89 * RETRY <= pause <= 1.11 * RETRY for pause in pauses)
    assert crowd < MANY / 4


def test_a_binding_that_is_being_tried_is_not_tried_twice() -> None:
    clock = FakeClock()
    seals = Seals(RETRY, clock)
    seals.add(binding(), 1, Reason.UNREACHABLE, sealed=True)
    clock.now += 1.2 * RETRY
    assert len(seals.due(10)) == 1
    clock.now += 9.0  # a cloud call may take so long
    assert seals.due(10) == []


def test_one_that_was_replaced_is_tried_only_while_somebody_asks() -> None:
    clock = FakeClock()
    seals = Seals(RETRY, clock)
    old = binding(replaced=True)
    seals.add(old, 1, Reason.KEY_DISABLED, sealed=True)
    for _ in range(3):
        clock.now += 1.2 * RETRY
        assert len(seals.due(10)) == 1
        seals.add(old, 1, Reason.KEY_DISABLED, sealed=True, asked=False)
        with pytest.raises(TenantSealedError):
            seals.admit(old, 1)
    clock.now += 1.2 * RETRY
    assert len(seals.due(10)) == 1
    clock.now += 1.2 * RETRY
    assert seals.due(10) == []
    assert len(seals) == 0
