"""Unsealing by hand: whose answer is taken, and what is said when it is no."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from services.common.errors import NoKmsConfigError, NotSealedError, UnsealFailedError
from services.common.identity import Call, StepUp
from services.kms.lifecycle.unsealing import Unsealing
from services.kms.model import KeyStatus, Reason
from tests.fakes.kms_keys import FakeKey, World

if TYPE_CHECKING:
    from uuid import UUID

    from services.kms.model import Binding
    from services.kms.ports import BindingStore


class OneBinding:
    """As much of BindingStore as unsealing asks for."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def current(self, tenant_id: UUID) -> Binding | None:
        for binding in self._world.store.bindings.values():
            if binding.tenant_id == tenant_id and not binding.replaced:
                return binding
        return None


class Tokens:
    """Registry that notes what it used up."""

    def __init__(self) -> None:
        self.consumed: list[UUID] = []

    async def tenant(self, tenant_id: UUID) -> None:
        return None

    async def consume_step_up(self, tenant_id: UUID, step_up: StepUp | None) -> None:
        self.consumed.append(tenant_id)


class Sealed:
    """A sealed tenant, and the use case."""

    def __init__(self, world: World, tenant: UUID, key: FakeKey) -> None:
        self.world, self.tenant, self.key = world, tenant, key
        self.tokens = Tokens()
        bindings: BindingStore = OneBinding(world)  # type: ignore[assignment]
        self.unsealing = Unsealing(
            bindings, world.store, self.tokens, world.keys, world.master_keys
        )

    async def unseal(self, tenant: UUID | None = None) -> None:
        call = Call(actor="admin:alice", request_id="r", tenant_id=tenant or self.tenant)
        await self.unsealing.unseal(call)

    @property
    def binding(self) -> Binding:
        return next(iter(self.world.store.bindings.values()))

    def revoke_all(self) -> None:
        for name, row in self.world.store.rows.items():
            self.world.store.rows[name] = replace(row, status=KeyStatus.REVOKED, wrapped=None)


@pytest.fixture
async def it() -> Sealed:
    world = World()
    tenant, key = await world.tenant()
    made = Sealed(world, tenant, key)
    await world.store.seal(None, made.binding, Reason.KEY_DISABLED)  # type: ignore[arg-type]
    return made


async def test_the_provider_is_asked_now_whatever_is_under_way(it: Sealed) -> None:
    # The background asked before the key was enabled, and its answer is late.
    it.key.gate = asyncio.Event()
    early = asyncio.create_task(it.world.master_keys.renew(it.tenant, 1))
    await it.world.settle()
    assert it.key.unwraps == 1
    now = asyncio.create_task(it.unseal())
    await it.world.settle()
    assert it.key.unwraps == 2
    it.key.gate.set()
    await asyncio.gather(early, now)
    assert it.binding.sealed_since is None
    await it.world.master_keys.open(it.tenant, 1)
    assert it.key.unwraps == 2


@pytest.mark.parametrize("reason", Reason)
async def test_each_cause_is_told_with_the_providers_hint(it: Sealed, reason: Reason) -> None:
    it.key.trouble = reason
    with pytest.raises(UnsealFailedError) as caught:
        await it.unseal()
    assert caught.value.http_status == 502
    assert caught.value.reason == ("access_denied" if reason.definite else "unreachable")
    assert caught.value.hint == f"{reason}: as told"
    assert it.binding.sealed_since is not None
    assert it.tokens.consumed == [it.tenant]


async def test_what_has_no_key_or_no_seal_costs_a_token_and_no_call(it: Sealed) -> None:
    stranger = uuid.uuid4()
    with pytest.raises(NoKmsConfigError):
        await it.unseal(stranger)
    await it.unseal()
    calls = it.key.unwraps
    with pytest.raises(NotSealedError):
        await it.unseal()
    assert it.key.unwraps == calls
    assert it.tokens.consumed == [stranger, it.tenant, it.tenant]


async def test_a_binding_whose_versions_were_all_revoked_is_proven_instead(it: Sealed) -> None:
    it.revoke_all()
    it.key.trouble = Reason.ACCESS_DENIED
    with pytest.raises(UnsealFailedError):
        await it.unseal()
    it.key.trouble = None
    await it.unseal()
    assert it.binding.sealed_since is None


async def test_a_refusal_that_came_between_is_no_success(
    it: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused_meanwhile(*_: object) -> bool:
        return False

    monkeypatch.setattr(it.world.store, "unseal", refused_meanwhile)
    with pytest.raises(UnsealFailedError) as caught:
        await it.unseal()
    assert caught.value.reason == "access_denied"
    assert (caught.value.hint or "").startswith("key_disabled: ")
    assert len(it.world.cache) == 0


async def test_who_waits_while_another_unseals_is_told_that_it_is_unsealed(it: Sealed) -> None:
    it.key.gate = asyncio.Event()
    crowd = [asyncio.create_task(it.unseal()) for _ in range(5)]
    await it.world.settle()
    it.key.gate.set()
    await asyncio.gather(*crowd)
    assert it.key.unwraps == 1
