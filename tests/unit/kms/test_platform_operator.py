"""The operator's own cloud key: which one is asked, and that a broken one is not asked by each request."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

import pytest

from services.common.errors import UnavailableError
from services.kms.model import KeyFacts, KmsTarget, Reason, WrapError, Wrapped
from services.kms.providers.braking import Brake
from services.kms.providers.operator import AT_ONCE, LocatedKey, OperatorKey
from tests.fakes.kms_keys import FakeClock, FakeKey

MASTER = bytes(range(32))
ARN = "arn:aws:kms:eu-central-1:111122223333:key/"
RING = "projects/p/locations/eu/keyRings/r/cryptoKeys/"


def facts() -> KeyFacts:
    return KeyFacts(uuid.uuid4(), uuid.uuid4())


def located(provider: str, key_ref: str) -> tuple[LocatedKey, FakeKey]:
    key = FakeKey()
    return LocatedKey(KmsTarget(provider, key_ref, {}), key), key


@dataclass
class World:
    """Two keys of the operator's, with a clock."""

    present_ref: str = f"{ARN}new"
    previous_ref: str = f"{ARN}old"
    provider: str = "aws"
    previous_provider: str = "aws"
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        present, self.present = located(self.provider, self.present_ref)
        previous, self.previous = located(self.previous_provider, self.previous_ref)
        brake = Brake(30.0, self.clock, jitter=lambda low, high: (low + high) / 2)
        self.key = OperatorKey(present, previous, brake)

    async def wrapped_by_previous(self, about: KeyFacts, key_ref: str) -> Wrapped:
        return Wrapped((await self.previous.wrap(about, MASTER)).blob, key_ref)


@pytest.mark.parametrize(
    ("world", "key_ref"),
    [
        (World(), f"{ARN}old"),
        (
            World(f"{RING}new", f"{RING}old", "gcp", "gcp"),
            f"{RING}old/cryptoKeyVersions/7",
        ),
        (
            World(
                "https://new.vault.azure.net/keys/k",
                "https://Old.vault.azure.net/keys/k",
                "azure",
                "azure",
            ),
            "https://old.vault.azure.net/keys/k/0123",
        ),
        (World(f"{RING}new", f"{ARN}old", "gcp", "aws"), f"{ARN}other"),
    ],
    ids=["aws", "gcp", "azure", "another cloud"],
)
async def test_what_the_previous_key_wrapped_is_asked_of_it_alone(
    world: World, key_ref: str
) -> None:
    about = facts()
    wrapped = await world.wrapped_by_previous(about, key_ref)
    assert await world.key.unwrap(about, wrapped) == MASTER
    assert world.present.unwraps == 0


async def test_a_name_that_nobody_has_is_tried_with_the_same_providers_keys() -> None:
    world, about = World(present_ref=f"{ARN[:-4]}alias/coffer"), facts()
    wrapped = await world.wrapped_by_previous(about, f"{ARN}behind-an-alias")
    assert await world.key.unwrap(about, wrapped) == MASTER
    assert world.present.unwraps == 1


async def test_a_key_of_a_cloud_that_is_not_configured_is_told_by_name() -> None:
    world = World()
    with pytest.raises(WrapError) as caught:
        await world.key.unwrap(facts(), Wrapped(b"x", f"{RING}k/cryptoKeyVersions/1"))
    assert "COFFER_KMS_OPERATOR_PREVIOUS_KEY_REF" in caught.value.hint
    assert (world.present.unwraps, world.previous.unwraps) == (0, 0)


async def test_without_a_present_key_nothing_is_wrapped_and_the_previous_opens() -> None:
    previous, key = located("aws", f"{ARN}old")
    operator, about = OperatorKey(None, previous, Brake(30.0, FakeClock())), facts()
    with pytest.raises(WrapError):
        await operator.wrap(about, MASTER)
    wrapped = Wrapped((await key.wrap(about, MASTER)).blob, f"{ARN}old")
    assert await operator.unwrap(about, wrapped) == MASTER


@pytest.mark.parametrize(
    ("reason", "pause"), [(Reason.KEY_DISABLED, 30.0), (Reason.UNREACHABLE, 2.0)]
)
async def test_a_key_that_failed_is_asked_once_per_pause_and_heals(
    reason: Reason, pause: float
) -> None:
    world = World()
    world.present.trouble = reason
    for _ in range(20):
        with pytest.raises(WrapError) as caught:
            await world.key.wrap(facts(), MASTER)
        assert caught.value.reason is reason
    assert world.present.wraps == 1
    world.clock.now += pause
    for _ in range(20):
        with pytest.raises(WrapError):
            await world.key.wrap(facts(), MASTER)
    assert world.present.wraps == 2
    world.present.trouble = None
    world.clock.now += pause
    for _ in range(3):
        await world.key.wrap(facts(), MASTER)
    assert world.present.wraps == 5


async def test_one_damaged_row_stops_no_other_and_is_not_asked_again_and_again() -> None:
    world, good, bad = World(), facts(), facts()
    wrapped = Wrapped((await world.present.wrap(good, MASTER)).blob, world.present_ref)
    for _ in range(5):
        with pytest.raises(WrapError):
            await world.key.unwrap(bad, Wrapped(b"damaged", world.present_ref))
        assert await world.key.unwrap(good, wrapped) == MASTER
    assert world.present.unwraps == 1 + 5


async def test_a_hanging_cloud_gets_few_calls_and_those_that_wait_are_turned_away() -> None:
    target, key = located("aws", f"{ARN}k")
    key.gate = asyncio.Event()
    operator = OperatorKey(target, None, Brake(30.0, FakeClock()), total_seconds=0.1)
    crowd = (operator.wrap(facts(), MASTER) for _ in range(5 * AT_ONCE))
    found = await asyncio.gather(*crowd, return_exceptions=True)
    assert key.wraps == AT_ONCE
    reasons = [one.reason for one in found if isinstance(one, WrapError)]
    assert reasons.count(Reason.UNREACHABLE) >= AT_ONCE
    assert all(isinstance(one, WrapError | UnavailableError) for one in found)
