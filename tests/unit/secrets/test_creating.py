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
from tests.fakes.secrets_ports import MemoryKms, MemorySecrets, Watching, settle
from tests.fakes.secrets_values import a_call, new_secret

if TYPE_CHECKING:
    from services.secrets.model import NewSecret

TENANT = uuid4()


class Stand:
    def __init__(self) -> None:
        self.kms = MemoryKms()
        self.store = MemorySecrets()
        self.pool = DataKeyPool(self.kms, Watching())
        self.creator = Creator(self.store, self.kms, self.pool, Watching())

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


async def test_a_rotation_between_seal_and_write_moves_the_keys_in_hand_once() -> None:
    stand = Stand()
    stand.store.active = stand.kms.key_version = 2
    found = await stand.create_all([_secret(f"S{number}") for number in range(10)])
    assert not any(isinstance(outcome, Exception | Refused) for outcome in found)
    assert stand.kms.rewrapped == [1, 10]


async def test_keys_of_two_versions_in_one_group_become_one_version() -> None:
    stand = Stand()
    stand.store.active = stand.kms.key_version = 2
    secrets = [_secret(f"S{number}", 1 + number % 2) for number in range(10)]
    found = await stand.create_all(secrets)
    assert not any(isinstance(outcome, Exception | Refused) for outcome in found)
    assert len(stand.store.names) == 11


async def test_a_version_that_never_becomes_active_ends_in_unavailable() -> None:
    stand = Stand()
    stand.store.active = 99
    found = await stand.create_all([_secret("ONE")])
    assert [type(outcome) for outcome in found] == [UnavailableError]


async def test_a_key_that_cannot_be_moved_is_lost_alone() -> None:
    stand = Stand()
    stand.store.active = stand.kms.key_version = 2
    secrets = [_secret(f"S{number}") for number in range(5)]
    stand.kms.lost.add(secrets[3].value.key.id)
    found = await stand.create_all(secrets)
    assert found[3] is Refused.KEY_LOST
    assert sum(isinstance(outcome, Exception | Refused) for outcome in found) == 1


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


async def test_tenants_whose_keys_are_moved_slowly_do_not_keep_another_from_creating() -> None:
    stand = Stand()
    stand.kms.moving.clear()
    stand.store.active = stand.kms.key_version = 2
    stuck = [uuid4() for _ in range(40)]
    waiting = [asyncio.create_task(stand.creator.create(t, _secret("OLD"))) for t in stuck]
    async with asyncio.timeout(5):
        await settle()
        assert len(stand.kms.rewrapped) == len(stuck)
        await stand.creator.create(TENANT, _secret("NEW", key_version=2))
    assert not any(task.done() for task in waiting)
    stand.kms.moving.set()
    found = await asyncio.gather(*waiting)
    assert not any(isinstance(outcome, Refused) for outcome in found)


async def test_what_is_under_way_counts_against_the_bytes_that_may_wait() -> None:
    stand = Stand()
    stand.store.gate.clear()
    size = _secret("A").value.size
    creator = Creator(
        stand.store, stand.kms, stand.pool, Watching(), GroupLimits(waiting_bytes=2 * size)
    )
    calls = [asyncio.create_task(creator.create(uuid4(), _secret("A"))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await creator.create(uuid4(), _secret("A"))
    stand.store.gate.set()
    await asyncio.gather(*calls)
    await creator.create(uuid4(), _secret("A"))
