"""Writing groups: stale key versions are met once, a poisonous item suffers alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from services.common.errors import UnavailableError
from services.secrets.creating import Creator
from services.secrets.data_keys import DataKeyPool
from services.secrets.grouping import GroupLimits
from services.secrets.model import Refused
from tests.fakes.secrets_ports import MemoryKms, MemorySecrets, Watching
from tests.fakes.secrets_values import a_call, new_secret

if TYPE_CHECKING:
    from services.secrets.model import NewSecret

TENANT = uuid4()


class Stand:
    def __init__(self) -> None:
        self.kms = MemoryKms()
        self.store = MemorySecrets()
        self.pool = DataKeyPool(self.kms, Watching())
        self.creator = Creator(self.store, self.pool, Watching())

    async def create_all(self, secrets: list[NewSecret]) -> list[object]:
        """As one group: what comes while the first is held goes together."""
        self.store.gate.clear()
        plug = asyncio.create_task(self.creator.create(TENANT, _secret("plug")))
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        calls = [asyncio.create_task(self.creator.create(TENANT, secret)) for secret in secrets]
        await asyncio.sleep(0.0)
        self.store.gate.set()
        found = await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.gather(plug, return_exceptions=True)
        return list(found)


def _secret(name: str, key_version: int = 1) -> NewSecret:
    return new_secret(name, key_version=key_version, call=a_call(TENANT))


async def test_a_group_is_one_transaction() -> None:
    stand = Stand()
    await stand.create_all([_secret(f"S{number}") for number in range(10)])
    assert [size for _, size in stand.store.groups] == [1, 10]


async def test_what_was_sealed_before_a_rotation_is_given_back_and_its_key_shown_to_nobody() -> (
    None
):
    """Its version may be of a cloud that the tenant has left, and that must not be called any more."""
    stand = Stand()
    await stand.pool.take(TENANT)
    await asyncio.gather(*(stand.pool.take(TENANT) for _ in range(8)))
    assert stand.pool.stock(TENANT)
    stand.store.active = stand.kms.key_version = 2
    found = await stand.create_all([_secret(f"S{number}") for number in range(10)])
    assert set(found) == {Refused.STALE_KEY}
    assert not stand.kms.rewrapped
    assert stand.pool.stock(TENANT) == 0, "those in stock are as old"


async def test_of_keys_of_two_versions_in_one_group_the_newer_ones_are_written() -> None:
    stand = Stand()
    stand.store.active = stand.kms.key_version = 2
    secrets = [_secret(f"S{number}", 1 + number % 2) for number in range(10)]
    found = await stand.create_all(secrets)
    for at, outcome in enumerate(found):
        assert (outcome is Refused.STALE_KEY) == (at % 2 == 0)
    assert len(stand.store.names) == 5
    assert not stand.kms.rewrapped


async def test_an_item_that_breaks_the_transaction_breaks_its_own_only() -> None:
    stand = Stand()
    stand.store.poison.add("BAD")
    secrets = [_secret("GOOD"), _secret("BAD"), _secret("FINE")]
    found = await stand.create_all(secrets)
    assert isinstance(found[1], RuntimeError)
    assert {name for _, name in stand.store.names} == {"plug", "GOOD", "FINE"}


async def test_a_database_that_cannot_be_reached_is_not_tried_again_for_each() -> None:
    stand = Stand()

    async def unreachable(*_: object) -> list[object]:
        stand.store.groups.append((TENANT, 0))
        raise UnavailableError

    stand.store.create = unreachable  # type: ignore[method-assign,assignment]
    with pytest.raises(UnavailableError):
        await stand.creator.create(TENANT, _secret("ONE"))
    assert len(stand.store.groups) == 1


async def test_what_is_under_way_counts_against_the_bytes_that_may_wait() -> None:
    stand = Stand()
    stand.store.gate.clear()
    size = _secret("A").value.size
    creator = Creator(stand.store, stand.pool, Watching(), GroupLimits(waiting_bytes=2 * size))
    calls = [asyncio.create_task(creator.create(uuid4(), _secret("A"))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await creator.create(uuid4(), _secret("A"))
    stand.store.gate.set()
    await asyncio.gather(*calls)
    await creator.create(uuid4(), _secret("A"))
