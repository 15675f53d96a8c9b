"""Looking at a tenant's KMS: a crowd costs two looks, and nobody sees what was before his own change."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, cast

from services.common.errors import UnavailableError
from services.kms.lifecycle.describing import Describing
from services.kms.model import Binding, KmsTarget, TenantKms
from tests.fakes.secrets_ports import settle

if TYPE_CHECKING:
    from uuid import UUID

    from services.kms.ports import BindingStore

TENANT = uuid.uuid4()


class Slow:
    """A store whose look takes until `gate` is set; it shows what was there when the look began."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.shown = Binding(TENANT, uuid.uuid4(), KmsTarget("aws", "k", {}, "k"))
        self.looks = 0
        self.ended = 0
        self.fault: Exception | None = None

    async def describe(self, tenant_id: UUID) -> TenantKms:
        self.looks += 1
        found = TenantKms(self.shown, ())
        try:
            await self.gate.wait()
        finally:
            self.ended += 1
        if self.fault is not None:
            raise self.fault
        return found


class Drains:
    """Leaves nothing."""

    def watch(self, tenant_id: UUID) -> None:
        pass

    async def finish(self, tenant_id: UUID) -> bool:
        return False


class Scene:
    def __init__(self) -> None:
        self.store = Slow()
        self.describing = Describing(cast("BindingStore", self.store), Drains())

    async def ask(self, count: int, tenant: UUID = TENANT) -> list[asyncio.Task[Any]]:
        tasks = [asyncio.create_task(self.describing.describe(tenant)) for _ in range(count)]
        await settle()
        return tasks


async def test_a_crowd_of_one_tenant_is_answered_by_two_looks() -> None:
    scene = Scene()
    first = await scene.ask(1)
    crowd = await scene.ask(64)
    assert scene.store.looks == 1
    scene.store.gate.set()
    await asyncio.gather(*first, *crowd)
    assert scene.store.looks == 2


async def test_who_asks_after_a_change_is_not_shown_what_was_before() -> None:
    scene = Scene()
    (before,) = await scene.ask(1)
    old = scene.store.shown
    scene.store.shown = Binding(TENANT, uuid.uuid4(), KmsTarget("aws", "k2", {}, "k2"))
    (after,) = await scene.ask(1)
    scene.store.gate.set()
    assert (await before).binding is old
    assert (await after).binding is scene.store.shown


async def test_a_tenant_does_not_wait_for_another_ones_look() -> None:
    scene = Scene()
    tasks = await scene.ask(1) + await scene.ask(1, uuid.uuid4())
    assert scene.store.looks == 2
    scene.store.gate.set()
    await asyncio.gather(*tasks)


async def test_who_gives_up_stops_nobody_elses_look_and_the_last_one_stops_it() -> None:
    scene = Scene()
    one, other = await scene.ask(2)
    one.cancel()
    await settle()
    assert scene.store.ended == 0
    other.cancel()
    await settle()
    assert scene.store.ended == 1
    (later,) = await scene.ask(1)
    scene.store.gate.set()
    assert (await later).binding is scene.store.shown


async def test_a_fault_is_told_to_all_who_wait_and_to_nobody_after() -> None:
    scene = Scene()
    scene.store.fault = UnavailableError()
    tasks = await scene.ask(3)
    scene.store.gate.set()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, UnavailableError)
    scene.store.fault = None
    (after,) = await scene.ask(1)
    assert (await after).binding is scene.store.shown
