"""Batches of data keys: no master key is used after its time, nor after it had to be forgotten."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from services.common.errors import TenantSealedError
from services.kms.data_keys import DataKeys
from services.kms.keys.announcements import Announcement, Kind
from services.kms.model import Binding, DataKey, DataKeyFault, KmsTarget, Reason
from tests.fakes.kms_keys import CUSTOMER_TTL, FakeKey, World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID


@dataclass
class Scene:
    """A tenant with a version under each of two clouds; the old one's is not open, and its cloud hangs."""

    world: World
    tenant: UUID
    old: FakeKey
    new: FakeKey
    binding: Binding
    data_keys: DataKeys
    first: DataKey
    second: DataKey

    def hear(self, kind: Kind) -> None:
        self.world.master_keys.heard(Announcement(kind, self.tenant, self.binding.id, "another"))

    def pull(self) -> None:
        """The customer takes the new key away, long enough ago that nothing may open with it."""
        self.new.trouble = Reason.KEY_DISABLED
        self.world.clock.now += CUSTOMER_TTL

    def refuse(self) -> None:
        """Another process was refused the new key."""
        self.new.trouble = Reason.KEY_DISABLED
        self.hear(Kind.REFUSED)

    def rewrap(self) -> Awaitable[Any]:
        return self.data_keys.rewrap(self.tenant, self.first.id + self.first.wrapped)

    def unwrap(self) -> Awaitable[Any]:
        both = [(key.id, key.wrapped) for key in (self.first, self.second)]
        return self.data_keys.unwrap(self.tenant, both)

    async def meanwhile(
        self, work: Callable[[], Awaitable[Any]], happens: Callable[[], None]
    ) -> Any:
        """`happens` while the old cloud is waited for."""
        assert self.old.gate is not None
        task = asyncio.ensure_future(work())
        await self.world.settle()
        assert not task.done()
        happens()
        self.old.gate.set()
        return await task


@pytest.fixture
async def scene() -> Scene:
    world = World()
    tenant, old = await world.tenant("old")
    new = world.keys.customers["new"] = FakeKey()
    binding = Binding(tenant, uuid.uuid4(), KmsTarget("aws", "new", {}, "new"))
    world.store.bindings[binding.id] = binding
    data_keys = DataKeys(world.store, world.master_keys)
    (first,) = (await data_keys.generate(tenant, 1)).data_keys
    await world.version(tenant, binding.id)
    world.master_keys.heard(Announcement(Kind.ROTATED, tenant, binding.id, "another"))
    (second,) = (await data_keys.generate(tenant, 1)).data_keys
    world.cache.drop_version(tenant, 1)
    old.gate = asyncio.Event()
    return Scene(world, tenant, old, new, binding, data_keys, first, second)


@pytest.mark.parametrize("how", ["pull", "refuse"])
async def test_a_key_in_hand_does_not_outlive_its_right_while_another_is_waited_for(
    scene: Scene, how: str
) -> None:
    done = await scene.meanwhile(scene.unwrap, getattr(scene, how))
    assert done.results == (scene.first.plaintext, DataKeyFault.SEALED)
    assert done.reasons == {1: Reason.KEY_DISABLED}


@pytest.mark.parametrize("how", ["pull", "refuse"])
async def test_nothing_is_wrapped_under_a_key_that_was_taken_away_while_another_was_waited_for(
    scene: Scene, how: str
) -> None:
    with pytest.raises(TenantSealedError) as sealed:
        await scene.meanwhile(scene.rewrap, getattr(scene, how))
    assert sealed.value.reason == Reason.KEY_DISABLED


async def test_a_key_in_hand_that_ran_out_meanwhile_is_asked_for_again(scene: Scene) -> None:
    def wait() -> None:
        scene.world.clock.now += CUSTOMER_TTL

    asked = scene.new.unwraps
    done = await scene.meanwhile(scene.unwrap, wait)
    assert done.results == (scene.first.plaintext, scene.second.plaintext)
    assert scene.new.unwraps == asked + 1


async def _part_way(scene: Scene, work: Awaitable[Any]) -> Any:
    """The new key is refused while a long batch is under way."""
    task = asyncio.ensure_future(work)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    scene.refuse()
    return await task


async def test_a_long_batch_does_not_go_on_with_a_key_that_is_refused_meanwhile(
    scene: Scene,
) -> None:
    items = [(scene.second.id, scene.second.wrapped)] * 5_000
    done = await _part_way(scene, scene.data_keys.unwrap(scene.tenant, items))
    results = done.results
    assert len(results) == len(items)
    assert results[0] == scene.second.plaintext
    assert results[-1] is DataKeyFault.SEALED


async def test_a_long_rewrap_does_not_go_on_under_a_key_that_is_refused_meanwhile(
    scene: Scene,
) -> None:
    packed = (scene.second.id + scene.second.wrapped) * 5_000
    with pytest.raises(TenantSealedError):
        await _part_way(scene, scene.data_keys.rewrap(scene.tenant, packed))


async def test_a_process_that_cannot_hear_opens_each_batch_anew(scene: Scene) -> None:
    """Nothing is kept then, and everything is opened all the same: once for each batch."""
    assert scene.old.gate is not None
    scene.old.gate.set()
    scene.world.trusted = False
    asked = scene.new.unwraps
    for _ in range(2):
        done = await scene.unwrap()
        assert done.results == (scene.first.plaintext, scene.second.plaintext)
    assert scene.new.unwraps == asked + 2


async def test_requests_to_the_cloud_are_told_once_however_many_batches_waited(
    scene: Scene,
) -> None:
    """Both versions are cold: two requests, though four batches wait for them, and none afterwards."""
    scene.world.cache.flush()
    asked = scene.old.unwraps + scene.new.unwraps
    batches = [asyncio.ensure_future(scene.rewrap()) for _ in range(4)]
    await scene.world.settle()
    assert scene.old.gate is not None
    scene.old.gate.set()
    told = [batch.kms_calls for batch in await asyncio.gather(*batches)]
    assert sum(told) == scene.old.unwraps + scene.new.unwraps - asked == 2
    assert (await scene.rewrap()).kms_calls == 0


async def test_the_platforms_own_key_is_no_request_to_a_cloud() -> None:
    world = World()
    tenant, data_keys = uuid.uuid4(), DataKeys(world.store, world.master_keys)
    (key,) = (await data_keys.generate(tenant, 1)).data_keys
    world.cache.flush()
    assert (await data_keys.rewrap(tenant, key.id + key.wrapped)).kms_calls == 0
    assert world.keys.platform_key.unwraps == 2  # one of them when it was made
