"""Erasing a version: in which order things are checked, and that no open copy outlives it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from services.common.errors import (
    CofferError,
    KeyInUseError,
    KeyRevokedError,
    NotFoundError,
    StepUpRequiredError,
    TenantSealedError,
    UnavailableError,
    ValidationError,
)
from services.common.identity import Call, StepUp, Tenant
from services.kms.data_keys import DataKeys
from services.kms.keys.announcements import Announcement, Kind
from services.kms.lifecycle.revoking import Revoking
from services.kms.model import DataKeyFault, Erasure, KeyStatus, Reason, WrapMethod
from tests.fakes.kms_keys import RETRY, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Registry:
    """Knows one tenant, and counts what was used up."""

    tenant_id: UUID
    consumed: list[StepUp | None] = field(default_factory=list)

    async def tenant(self, tenant_id: UUID) -> Tenant | None:
        if tenant_id != self.tenant_id:
            return None
        return Tenant(tenant_id, "acme", "Acme", "starter", 25)

    async def consume_step_up(self, tenant_id: UUID, step_up: StepUp | None) -> None:
        if step_up is None:
            raise StepUpRequiredError("missing", reason="missing")
        self.consumed.append(step_up)


@dataclass
class Erasures:
    """Implements RevocationStore over the world's rows; `trouble` is raised instead."""

    world: World
    receipts: dict[int, str] = field(default_factory=dict)
    trouble: CofferError | None = None

    async def erase(
        self, call: Call, version: int, *, force: bool, sign: Callable[[Erasure], str]
    ) -> str:
        if self.trouble is not None and not force:
            raise self.trouble
        if version not in self.receipts:
            row = self.world.store.rows[call.tenant, version]
            gone = replace(row, status=KeyStatus.REVOKED, wrapped=None)
            self.world.store.rows[call.tenant, version] = gone
            epochs = self.world.store.epochs
            epochs[call.tenant] = epochs.get(call.tenant, 0) + 1
            self.receipts[version] = sign(erasure(call, row.id, version))
        return self.receipts[version]

    async def receipt(self, tenant_id: UUID, version: int) -> str | None:
        return self.receipts.get(version)


class Signer:
    """Signs by saying so."""

    def sign(self, kind: str, statement: Mapping[str, object]) -> str:
        return f"{kind} of version {statement['version']}"


def erasure(call: Call, key_id: UUID, version: int) -> Erasure:
    return Erasure(
        tenant_id=call.tenant,
        tenant_slug="acme",
        key_id=key_id,
        version=version,
        wrap_method=WrapMethod.CUSTOMER_KMS,
        provider="aws",
        kms_key_ref="k",
        created_at=NOW,
        retired_at=NOW,
        revoked_at=NOW,
        data_keys=0,
        forced=False,
        actor=call.actor,
        request_id=call.request_id,
    )


@dataclass
class Scene:
    """A tenant with two versions, and the use case."""

    world: World
    tenant: UUID
    store: Erasures
    registry: Registry
    revoking: Revoking

    @property
    def call(self) -> Call:
        return Call("admin:alice", str(uuid.uuid4()), self.tenant, step_up=StepUp("jti", NOW))

    async def revoke(self, version: int = 1, confirm: str = "acme", *, force: bool = False) -> str:
        return await self.revoking.revoke(self.call, version, confirm=confirm, force=force)


@pytest.fixture
async def scene() -> Scene:
    world = World()
    tenant, _ = await world.tenant()
    await world.version(tenant, next(iter(world.store.bindings)))
    store, registry = Erasures(world), Registry(tenant)
    return Scene(
        world, tenant, store, registry, Revoking(store, registry, world.master_keys, Signer())
    )


async def test_who_did_not_mean_it_is_stopped_before_the_token_is_used_up(scene: Scene) -> None:
    for wrong in ("", "ACME", "acme ", "other"):
        with pytest.raises(ValidationError) as caught:
            await scene.revoke(confirm=wrong)
        assert caught.value.fields == {"confirm": ["must be the tenant's slug"]}
    assert scene.registry.consumed == []
    assert scene.store.receipts == {}


async def test_the_token_is_used_up_also_when_the_version_may_not_go(scene: Scene) -> None:
    scene.store.trouble = KeyInUseError(1, 7)
    with pytest.raises(KeyInUseError):
        await scene.revoke()
    assert len(scene.registry.consumed) == 1
    assert await scene.revoke(force=True) == "coffer-revocation-receipt of version 1"


async def test_no_token_no_erasure(scene: Scene) -> None:
    call = replace(scene.call, step_up=None)
    with pytest.raises(StepUpRequiredError):
        await scene.revoking.revoke(call, 1, confirm="acme", force=True)
    assert scene.store.receipts == {}


async def test_the_process_that_was_asked_has_no_open_copy_when_it_answers(scene: Scene) -> None:
    opened = scene.world.master_keys
    await opened.open(scene.tenant, 1)
    await opened.open(scene.tenant, 2)
    calls = scene.world.keys.customers["k"].unwraps
    await scene.revoke()
    with pytest.raises(KeyRevokedError):
        await opened.open(scene.tenant, 1)
    await opened.open(scene.tenant, 2)
    assert scene.world.keys.customers["k"].unwraps == calls


async def test_an_erasure_whose_outcome_is_not_known_is_heard_with_its_echo(scene: Scene) -> None:
    """The commit was on its way when the connection broke: this process took no note."""
    await scene.world.master_keys.open(scene.tenant, 1)
    told = Announcement(Kind.REVOKED, scene.tenant, None, "this process", 1)
    scene.world.master_keys.echoed(Announcement(Kind.REVOKED, uuid.uuid4(), None, "x", 1))
    assert scene.world.cache.get(scene.tenant, 1) is not None
    scene.world.master_keys.echoed(told)
    assert scene.world.cache.get(scene.tenant, 1) is None


async def test_a_refused_erasure_drops_nothing(scene: Scene) -> None:
    await scene.world.master_keys.open(scene.tenant, 1)
    scene.store.trouble = UnavailableError()
    with pytest.raises(UnavailableError):
        await scene.revoke()
    assert scene.world.cache.get(scene.tenant, 1) is not None


async def test_a_load_under_way_ends_in_the_erasure(scene: Scene) -> None:
    key = scene.world.keys.customers["k"]
    key.gate = asyncio.Event()
    loads = [asyncio.create_task(scene.world.master_keys.open(scene.tenant, 1)) for _ in range(3)]
    await scene.world.settle()
    await scene.revoke()
    key.gate.set()
    for outcome in await asyncio.gather(*loads, return_exceptions=True):
        assert isinstance(outcome, KeyRevokedError)
    assert scene.world.cache.get(scene.tenant, 1) is None


async def test_a_key_in_hand_is_not_used_after_its_erasure_while_another_is_waited_for(
    scene: Scene,
) -> None:
    """A batch under two versions: one is open already, the other's KMS is slow."""
    opened = await scene.world.master_keys.open(scene.tenant, 1)
    other = await scene.world.master_keys.open(scene.tenant, 2)
    data_key = (uuid.uuid4().bytes, bytes(32))
    items = [(data_key[0], entry.key.wrap([data_key])[0]) for entry in (opened, other)]
    scene.world.cache.drop_version(scene.tenant, 2)
    key = scene.world.keys.customers["k"]
    key.gate = asyncio.Event()
    data_keys = DataKeys(scene.world.store, scene.world.master_keys)
    unwrap = asyncio.create_task(data_keys.unwrap(scene.tenant, items))
    await scene.world.settle()
    await scene.revoke()
    key.gate.set()
    assert (await unwrap).results == (DataKeyFault.REVOKED, bytes(32))


async def test_a_sealed_binding_is_tried_with_what_is_left_of_it(scene: Scene) -> None:
    """It was sealed by the very version that is erased then."""
    world, key = scene.world, scene.world.keys.customers["k"]
    (binding_id,) = world.store.bindings
    key.trouble = Reason.KEY_DISABLED
    world.tending.tend()
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(scene.tenant, 1)
    await scene.revoke()
    key.trouble = None
    world.clock.now += 1.2 * RETRY
    world.tending.tend()
    await world.settle()
    assert world.store.bindings[binding_id].sealed_since is None


async def test_who_lost_the_answer_gets_the_same_receipt(scene: Scene) -> None:
    first = await scene.revoke()
    assert await scene.revoke() == first
    assert await scene.revoking.receipt(scene.call, 1) == first
    with pytest.raises(NotFoundError):
        await scene.revoking.receipt(scene.call, 2)


async def test_a_tenant_that_is_gone_erases_nothing(scene: Scene) -> None:
    stranger = replace(scene.call, tenant_id=uuid.uuid4())
    with pytest.raises(NotFoundError):
        await scene.revoking.revoke(stranger, 1, confirm="acme", force=True)
