"""Opening master keys: how often a KMS is asked, and what its refusals do."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from services.common.errors import (
    KeyRevokedError,
    NotFoundError,
    TenantSealedError,
    UnavailableError,
)
from services.kms.keys.announcements import Announcement, Kind
from services.kms.keys.master_keys import MAX_WAITING
from services.kms.model import Binding, KeyStatus, KmsTarget, Reason, UnknownVersionError
from tests.fakes.kms_keys import CUSTOMER_TTL, RETRY, World

USABLE = 0.9 * CUSTOMER_TTL
"""The TTL less the time for which a session with the cloud is used again."""

DEFINITE = [reason for reason in Reason if reason.definite]
SILENT = [Reason.THROTTLED, Reason.UNREACHABLE]


@pytest.fixture
def world() -> World:
    return World()


async def test_500_at_once_are_one_call(world: World) -> None:
    tenant, key = await world.tenant()
    key.gate = asyncio.Event()
    waiting = [asyncio.create_task(world.master_keys.open(tenant, 1)) for _ in range(500)]
    await world.settle()
    key.gate.set()
    entries = await asyncio.gather(*waiting)
    assert key.unwraps == 1
    assert {entry.expires_at for entry in entries} == {1000.0 + USABLE}
    await world.master_keys.open(tenant, 1)
    assert key.unwraps == 1


async def test_a_crowd_behind_a_hanging_kms_is_bounded(world: World) -> None:
    tenant, key = await world.tenant()
    key.gate = asyncio.Event()
    waiting = [asyncio.create_task(world.master_keys.open(tenant, 1)) for _ in range(MAX_WAITING)]
    await world.settle()
    with pytest.raises(UnavailableError):
        await world.master_keys.open(tenant, 1)
    other, _ = await world.tenant("other")
    await world.master_keys.open(other, 1)
    key.gate.set()
    await asyncio.gather(*waiting)
    assert key.unwraps == 1
    await world.master_keys.open(tenant, 1)


async def test_a_provider_that_was_not_asked_is_no_reason_to_seal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, key = await world.tenant()

    async def crowded(*_: object) -> bytes:
        raise UnavailableError

    monkeypatch.setattr(key, "unwrap", crowded)
    with pytest.raises(UnavailableError):
        await world.master_keys.open(tenant, 1)
    assert world.store.sealed == []
    assert len(world.seals) == 0
    monkeypatch.undo()
    await world.master_keys.open(tenant, 1)


async def test_the_echo_of_an_own_change_forgets_which_version_was_active_but_no_open_key(
    world: World,
) -> None:
    tenant, key = await world.tenant()
    assert (await world.master_keys.active(tenant)).key.version == 1
    # Committed, while whoever asked for it was cancelled and took no note.
    await world.version(tenant, next(iter(world.store.bindings)))
    world.master_keys.echoed(Announcement(Kind.ROTATED, tenant, None, "self"))
    assert (await world.master_keys.active(tenant)).key.version == 2
    asked = key.unwraps
    await world.master_keys.open(tenant, 1)
    assert key.unwraps == asked, "the open key stayed"


async def test_an_echo_does_not_split_the_crowd_that_waits_for_one_call(world: World) -> None:
    tenant, key = await world.tenant()
    key.gate = asyncio.Event()
    first = asyncio.create_task(world.master_keys.open(tenant, 1))
    await world.settle()
    world.master_keys.echoed(Announcement(Kind.REPLACED, tenant, None, "self"))
    second = asyncio.create_task(world.master_keys.open(tenant, 1))
    await world.settle()
    key.gate.set()
    await asyncio.gather(first, second)
    assert key.unwraps == 1


async def test_one_who_gives_up_stops_nobody_else(world: World) -> None:
    tenant, key = await world.tenant()
    key.gate = asyncio.Event()
    first = asyncio.create_task(world.master_keys.open(tenant, 1))
    second = asyncio.create_task(world.master_keys.open(tenant, 1))
    await world.settle()
    first.cancel()
    key.gate.set()
    assert (await second).key.version == 1
    assert key.unwraps == 1


async def test_a_load_under_way_during_an_invalidation_is_not_kept(world: World) -> None:
    tenant, key = await world.tenant()
    key.gate = asyncio.Event()
    waiting = asyncio.create_task(world.master_keys.open(tenant, 1))
    await world.settle()
    world.master_keys.heard(Announcement(Kind.REPLACED, tenant, None, "other"))
    key.gate.set()
    await waiting
    assert len(world.cache) == 0


async def test_an_epoch_that_moved_meanwhile_asks_again(world: World) -> None:
    tenant, key = await world.tenant()
    key.gate = asyncio.Event()
    waiting = asyncio.create_task(world.master_keys.open(tenant, 1))
    await world.settle()
    # Revoked elsewhere, and the notification is lost.
    world.store.rows[tenant, 1] = replace(
        world.store.rows[tenant, 1], status=KeyStatus.REVOKED, wrapped=None
    )
    world.store.epochs[tenant] = 1
    key.gate.set()
    with pytest.raises(KeyRevokedError):
        await waiting
    assert len(world.cache) == 0


async def test_a_ring_that_keeps_moving_is_served_but_never_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, key = await world.tenant()

    async def moving(_tenant: uuid.UUID) -> int:
        return 99

    monkeypatch.setattr(world.store, "epoch", moving)
    entry = await world.master_keys.open(tenant, 1)
    assert world.master_keys.usable_ms(entry) == 0
    assert key.unwraps == 3
    assert len(world.cache) == 0


async def test_calls_stay_within_one_plus_duration_by_four_fifths_of_the_ttl(world: World) -> None:
    tenant, key = await world.tenant()
    started = world.clock.now
    while world.clock.now < started + 20 * CUSTOMER_TTL:
        await world.master_keys.open(tenant, 1)
        world.clock.now += 1
        world.tending.tend()
        await world.settle()
    assert key.unwraps <= 1 + 20 / 0.8
    assert key.unwraps >= 20


async def test_a_refresh_keeps_nobody_waiting(world: World) -> None:
    tenant, key = await world.tenant()
    await world.master_keys.open(tenant, 1)
    await world.master_keys.open(tenant, 1)
    key.gate = asyncio.Event()
    world.clock.now += 0.81 * CUSTOMER_TTL
    world.tending.tend()
    await world.settle()
    assert key.unwraps == 2
    entry = await world.master_keys.open(tenant, 1)
    assert entry.expires_at == 1000.0 + USABLE
    key.gate.set()
    await world.settle()
    assert (await world.master_keys.open(tenant, 1)).expires_at > entry.expires_at


async def test_a_refresh_that_hangs_keeps_nobody_waiting_until_the_key_ends(world: World) -> None:
    tenant, key = await world.tenant()
    await world.master_keys.open(tenant, 1)
    key.gate = asyncio.Event()
    for _ in range(int(USABLE) - 1):
        world.clock.now += 1
        world.tending.tend()
        await world.settle()
        async with asyncio.timeout(0):  # answered without waiting for anything
            await world.master_keys.open(tenant, 1)
    assert key.unwraps == 2, "one refresh, which hangs"
    key.gate.set()
    await world.settle()


async def test_a_key_that_nothing_needs_any_more_is_let_go_without_a_word_to_its_cloud(
    world: World,
) -> None:
    tenant, old = await world.tenant()
    await world.master_keys.open(tenant, 1)
    await world.master_keys.open(tenant, 1)
    first = next(iter(world.store.bindings.values()))
    world.store.bindings[first.id] = replace(first, replaced=True)
    second = Binding(tenant, uuid.uuid4(), KmsTarget("aws", "new", {}, "new"))
    world.store.bindings[second.id] = second
    await world.version(tenant, second.id)
    world.clock.now += 0.81 * CUSTOMER_TTL
    world.tending.tend()
    await world.settle()
    assert old.unwraps == 2, "a data key still hangs on it"
    await world.master_keys.open(tenant, 1)
    world.store.data_keys[tenant, 1] = 0
    world.clock.now += 0.81 * CUSTOMER_TTL
    world.tending.tend()
    await world.settle()
    assert old.unwraps == 2
    assert world.cache.get(tenant, 1) is None
    # And it opens for who asks all the same.
    await world.master_keys.open(tenant, 1)
    assert old.unwraps == 3


async def test_a_sealed_binding_that_was_replaced_and_drained_since_is_not_tried_again(
    world: World,
) -> None:
    tenant, key = await world.tenant()
    key.trouble = Reason.KEY_DISABLED
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    # Replaced by another process; this one has heard nothing of it.
    binding = next(iter(world.store.bindings.values()))
    world.store.bindings[binding.id] = replace(binding, replaced=True, sealed_since=None)
    world.store.rows[tenant, 1] = replace(world.store.rows[tenant, 1], status=KeyStatus.RETIRED)
    world.store.data_keys[tenant, 1] = 0
    for _ in range(3):
        world.clock.now += 1.2 * RETRY
        world.tending.tend()
        await world.settle()
    assert key.unwraps == 1
    assert len(world.seals) == 0


@pytest.mark.parametrize("reason", DEFINITE)
async def test_a_definite_refusal_seals_at_once_and_drops_what_is_open(
    world: World, reason: Reason
) -> None:
    tenant, key = await world.tenant()
    await world.master_keys.open(tenant, 1)
    await world.master_keys.open(tenant, 1)
    key.trouble = reason
    world.clock.now += 0.81 * CUSTOMER_TTL
    world.tending.tend()
    await world.settle()
    with pytest.raises(TenantSealedError) as caught:
        await world.master_keys.open(tenant, 1)
    assert caught.value.reason == reason
    assert caught.value.http_status == 503
    assert [sealed for _, sealed in world.store.sealed] == [reason]
    assert len(world.seals) == 1


async def test_another_key_than_the_one_stored_is_a_definite_refusal(world: World) -> None:
    tenant, key = await world.tenant()
    key.forged = bytes(32)
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    assert [reason for _, reason in world.store.sealed] == [Reason.ROUNDTRIP_MISMATCH]


@pytest.mark.parametrize("reason", SILENT)
async def test_silence_lets_open_keys_serve_until_their_end_and_seals_only_then(
    world: World, reason: Reason
) -> None:
    tenant, key = await world.tenant()
    await world.master_keys.open(tenant, 1)
    key.trouble = reason
    for _ in range(int(USABLE) - 1):
        world.clock.now += 1
        world.tending.tend()
        await world.settle()
        await world.master_keys.open(tenant, 1)
    assert key.unwraps > 1
    assert world.store.sealed == []
    world.clock.now += 1
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    assert [sealed for _, sealed in world.store.sealed] == [reason]


@pytest.mark.parametrize("reason", SILENT)
async def test_silence_about_one_version_does_not_seal_while_another_is_open(
    world: World, reason: Reason
) -> None:
    tenant, key = await world.tenant()
    binding = next(iter(world.store.bindings))
    await world.version(tenant, binding)
    await world.master_keys.open(tenant, 2)
    key.trouble = reason
    for _ in range(5):
        with pytest.raises(TenantSealedError):
            await world.master_keys.open(tenant, 1)
    assert world.store.sealed == []
    assert key.unwraps == 2, "it was left alone after the first try"
    await world.master_keys.open(tenant, 2)


async def test_a_sealed_binding_is_not_asked_by_requests_but_by_the_background(
    world: World,
) -> None:
    tenant, key = await world.tenant()
    key.trouble = Reason.KEY_DISABLED
    for _ in range(20):
        with pytest.raises(TenantSealedError):
            await world.master_keys.open(tenant, 1)
    assert key.unwraps == 1
    world.clock.now += RETRY - 1
    world.tending.tend()
    await world.settle()
    assert key.unwraps == 1
    world.clock.now += 1
    world.tending.tend()
    await world.settle()
    assert key.unwraps == 2
    key.trouble = None
    world.clock.now += RETRY
    world.tending.tend()
    await world.settle()
    assert (await world.master_keys.open(tenant, 1)).key.version == 1
    assert key.unwraps == 3
    assert len(world.store.unsealed) == 1
    assert len(world.seals) == 0


async def test_a_seal_by_another_process_is_respected_without_a_call(world: World) -> None:
    tenant, key = await world.tenant()
    binding = next(iter(world.store.bindings.values()))
    await world.store.seal(None, binding, Reason.ACCESS_DENIED)  # type: ignore[arg-type]
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    assert key.unwraps == 0
    await world.store.unseal(None, binding, 1)  # type: ignore[arg-type]
    world.master_keys.heard(Announcement(Kind.UNSEALED, tenant, binding.id, "other"))
    await world.master_keys.open(tenant, 1)


async def test_an_unsealing_that_was_not_heard_is_seen_in_the_database(world: World) -> None:
    tenant, key = await world.tenant()
    key.trouble = Reason.ACCESS_DENIED
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    key.trouble = None
    binding = next(iter(world.store.bindings.values()))
    await world.store.unseal(None, binding, 1)  # type: ignore[arg-type]
    await world.master_keys.open(tenant, 1)


async def test_a_replaced_binding_that_nobody_asks_for_is_left_in_peace(world: World) -> None:
    tenant, key = await world.tenant()
    binding = next(iter(world.store.bindings.values()))
    world.store.bindings[binding.id] = replace(binding, replaced=True)
    key.trouble = Reason.KEY_NOT_FOUND
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    for _ in range(10):
        world.clock.now += 1.2 * RETRY
        world.tending.tend()
        await world.settle()
    assert key.unwraps == 2
    assert len(world.seals) == 0


async def test_a_current_binding_is_tried_again_for_as_long_as_it_takes(world: World) -> None:
    tenant, key = await world.tenant()
    key.trouble = Reason.KEY_NOT_FOUND
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)
    for _ in range(10):
        world.clock.now += 1.2 * RETRY
        world.tending.tend()
        await world.settle()
    assert key.unwraps == 11


async def test_a_seal_that_was_only_looked_at_is_tried_too(world: World) -> None:
    tenant, key = await world.tenant()
    binding = next(iter(world.store.bindings.values()))
    await world.store.seal(None, binding, Reason.ACCESS_DENIED)  # type: ignore[arg-type]
    world.tending.watch(world.store.bindings[binding.id], 1)
    world.clock.now += 1.2 * RETRY
    world.tending.tend()
    await world.settle()
    assert world.store.unsealed == [binding.id]
    assert key.unwraps == 1
    await world.master_keys.open(tenant, 1)


async def test_a_load_begun_before_a_refusal_elsewhere_does_not_unseal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, key = await world.tenant()
    binding = next(iter(world.store.bindings.values()))
    await world.store.seal(None, binding, Reason.UNREACHABLE)  # type: ignore[arg-type]
    world.tending.watch(world.store.bindings[binding.id], 1)
    read = world.store.epoch

    async def refused_right_after(tenant_id: uuid.UUID) -> int:
        epoch = await read(tenant_id)
        key.trouble = Reason.ACCESS_DENIED
        await world.store.seal(None, binding, Reason.ACCESS_DENIED)  # type: ignore[arg-type]
        return epoch

    monkeypatch.setattr(world.store, "epoch", refused_right_after)
    world.clock.now += 1.2 * RETRY
    world.tending.tend()
    await world.settle()
    assert world.store.unsealed == []
    assert len(world.cache) == 0
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(tenant, 1)


async def test_a_sealed_tenant_leaves_others_alone(world: World) -> None:
    sealed, bad = await world.tenant("bad")
    other, _ = await world.tenant("good")
    await world.master_keys.open(other, 1)
    bad.trouble = Reason.ACCESS_DENIED
    with pytest.raises(TenantSealedError):
        await world.master_keys.open(sealed, 1)
    world.clock.now += CUSTOMER_TTL
    assert (await world.master_keys.open(other, 1)).key.tenant_id == other


async def test_a_crowd_of_first_uses_makes_one_version(world: World) -> None:
    tenant = uuid.uuid4()
    entries = await asyncio.gather(*(world.master_keys.active(tenant) for _ in range(20)))
    assert {entry.key.version for entry in entries} == {1}
    assert list(world.store.rows) == [(tenant, 1)]


async def test_a_stranger_gets_no_key(world: World) -> None:
    tenant = uuid.uuid4()
    world.store.strangers.add(tenant)
    with pytest.raises(NotFoundError):
        await world.master_keys.active(tenant)


async def test_unknown_and_revoked_versions_are_told_apart(world: World) -> None:
    tenant, _ = await world.tenant()
    with pytest.raises(UnknownVersionError):
        await world.master_keys.open(tenant, 2)
    world.store.rows[tenant, 1] = replace(
        world.store.rows[tenant, 1], status=KeyStatus.REVOKED, wrapped=None
    )
    with pytest.raises(KeyRevokedError):
        await world.master_keys.open(tenant, 1)


async def test_the_background_ends_when_told_and_leaves_nothing(world: World) -> None:
    tenant, key = await world.tenant()
    await world.master_keys.open(tenant, 1)
    await world.master_keys.open(tenant, 1)
    key.gate = asyncio.Event()
    world.clock.now += 0.85 * CUSTOMER_TTL
    running = asyncio.create_task(world.tending.run())
    await world.settle()
    assert key.unwraps == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await world.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
