"""A provider that refuses one version of a binding, and not its newest: who goes on, and who is asked."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from services.common.errors import KeyRevokedError, TenantSealedError, UnavailableError
from services.common.identity import Call
from services.kms.keys.announcements import Announcement, Kind
from services.kms.keys.cache import MasterKeyCache
from services.kms.keys.master_keys import Lifetimes, MasterKeys
from services.kms.keys.sealing import Seals
from services.kms.keys.tending import SEARCH_SECONDS, Tending
from services.kms.model import Binding, KeyStatus, KmsTarget, Reason
from tests.fakes.kms_keys import CUSTOMER_TTL, PLATFORM_TTL, RETRY, FakeKey, World

DEFINITE = [reason for reason in Reason if reason.definite]
SILENT = [Reason.THROTTLED, Reason.UNREACHABLE]
CALL = Call(actor="admin:alice", request_id="r")


class TwoVersions:
    """A tenant with an old and a new version under one binding, in a process of its own."""

    def __init__(self, world: World, tenant: uuid.UUID, key: FakeKey) -> None:
        self.world, self.tenant, self.key = world, tenant, key

    @property
    def binding(self) -> Binding:
        return next(iter(self.world.store.bindings.values()))

    def lose(self, version: int, reason: Reason = Reason.KEY_DISABLED) -> None:
        self.key.lost[self.blob(version)] = reason

    def blob(self, version: int) -> bytes:
        wrapped = self.world.store.rows[self.tenant, version].wrapped
        assert wrapped is not None
        return wrapped.blob

    def asked(self, version: int) -> int:
        return self.key.asked.count(self.blob(version))

    async def opens(self, version: int) -> bool:
        return (await self.word_on(version)) is None

    async def word_on(self, version: int) -> str | None:
        """None if it opens, else why not."""
        try:
            await self.world.master_keys.open(self.tenant, version)
        except TenantSealedError as error:
            return error.reason
        return None

    async def later(self, seconds: float = 1.2 * RETRY) -> None:
        self.world.clock.now += seconds
        self.world.tending.tend()
        await self.world.settle()


@pytest.fixture
async def it() -> TwoVersions:
    world = World()
    tenant, key = await world.tenant()
    await world.version(tenant, next(iter(world.store.bindings)))
    return TwoVersions(world, tenant, key)


@pytest.mark.parametrize("reason", DEFINITE)
async def test_a_refused_old_version_leaves_the_active_one_in_use(
    it: TwoVersions, reason: Reason
) -> None:
    it.lose(1, reason)
    assert await it.opens(2)
    for _ in range(20):
        assert await it.word_on(1) == reason
        assert await it.opens(2)
    assert it.world.store.sealed == []
    assert (it.asked(1), it.asked(2)) == (1, 1), "asked in the same moment"
    assert len(it.world.seals) == 0
    assert it.world.seals.refused == 1


async def test_a_damaged_row_takes_nothing_but_itself_out_of_use(it: TwoVersions) -> None:
    rows = it.world.store.rows
    rows[it.tenant, 1] = replace(rows[it.tenant, 1], check_value=bytes(32))
    assert await it.word_on(1) == Reason.ROUNDTRIP_MISMATCH
    assert await it.opens(2)
    assert it.world.store.sealed == []


async def test_the_newest_is_asked_anew_though_it_was_open(it: TwoVersions) -> None:
    assert await it.opens(2)
    it.world.clock.now += 1
    it.lose(1)
    assert not await it.opens(1)
    assert it.asked(2) == 2
    assert await it.opens(2)
    assert it.asked(2) == 2


@pytest.mark.parametrize("reason", DEFINITE)
async def test_a_newest_version_that_is_refused_too_seals_and_drops_all(
    it: TwoVersions, reason: Reason
) -> None:
    assert await it.opens(2)
    it.world.clock.now += 1
    it.key.trouble = reason
    assert await it.word_on(1) == reason
    assert [word for _, word in it.world.store.sealed] == [reason]
    assert len(it.world.cache) == 0
    calls = it.key.unwraps
    for version in (1, 2):
        assert await it.word_on(version) == reason
    assert it.key.unwraps == calls == 3
    assert it.world.seals.refused == 0


@pytest.mark.parametrize("silence", SILENT)
async def test_without_an_answer_about_the_newest_what_is_open_goes_on_until_its_end(
    it: TwoVersions, silence: Reason
) -> None:
    assert await it.opens(2)
    it.world.clock.now += 1
    it.lose(1)
    it.lose(2, silence)
    assert await it.word_on(1) == Reason.KEY_DISABLED
    assert await it.opens(2)
    assert it.world.store.sealed == []
    # The question is put again with the next try: it was the whole key after all.
    it.lose(2)
    await it.later()
    assert [word for _, word in it.world.store.sealed] == [Reason.KEY_DISABLED]
    assert not await it.opens(2)


@pytest.mark.parametrize("silence", SILENT)
async def test_denied_access_seals_unless_the_newest_was_opened(
    it: TwoVersions, silence: Reason
) -> None:
    assert await it.opens(2)
    it.world.clock.now += 1
    it.lose(1, Reason.ACCESS_DENIED)
    it.lose(2, silence)
    assert await it.word_on(1) == Reason.ACCESS_DENIED
    assert await it.word_on(2) == Reason.ACCESS_DENIED
    assert (it.binding.id, Reason.ACCESS_DENIED) in it.world.store.sealed


async def test_a_provider_too_busy_to_be_asked_about_the_newest_seals_nothing(
    it: TwoVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await it.opens(2)
    it.world.clock.now += 1
    blob, unwrap = it.blob(1), it.key.unwrap
    it.lose(1)

    async def crowded(facts: object, wrapped: object) -> bytes:
        if getattr(wrapped, "blob", None) != blob:
            raise UnavailableError
        return await unwrap(facts, wrapped)  # type: ignore[arg-type]

    monkeypatch.setattr(it.key, "unwrap", crowded)
    assert await it.word_on(1) == Reason.KEY_DISABLED
    assert await it.opens(2)
    assert it.world.store.sealed == []


async def test_it_is_tried_again_while_somebody_asks_and_opens_by_itself(it: TwoVersions) -> None:
    it.lose(1)
    assert not await it.opens(1)
    for tries in (2, 3):
        await it.later(RETRY)
        assert it.asked(1) == tries
        assert not await it.opens(1)
        assert it.asked(1) == tries
    it.key.lost.clear()
    await it.later(RETRY)
    assert it.asked(1) == 4
    assert await it.opens(1)
    assert it.asked(1) == 4
    assert it.world.seals.refused == 0
    assert it.world.store.sealed == []
    assert it.world.store.unsealed == []


async def test_a_version_lost_for_good_that_nobody_asks_for_is_left_in_peace(
    it: TwoVersions,
) -> None:
    it.lose(1, Reason.KEY_NOT_FOUND)
    assert not await it.opens(1)
    for _ in range(10):
        await it.later()
    assert it.asked(1) == 2
    assert it.world.seals.refused == 0
    assert not await it.opens(1)
    assert it.asked(1) == 3


async def test_a_refresh_that_is_refused_drops_that_key_and_keeps_the_others(
    it: TwoVersions,
) -> None:
    for version in (1, 1, 2, 2):
        assert await it.opens(version)
    it.lose(1)
    await it.later(0.81 * CUSTOMER_TTL)
    assert it.world.cache.get(it.tenant, 1) is None
    assert it.world.cache.get(it.tenant, 2) is not None
    assert it.world.store.refused == [(it.binding.id, 1)]


async def test_a_crowd_for_a_refused_version_is_one_call_and_one_for_the_newest(
    it: TwoVersions,
) -> None:
    it.lose(1)
    it.key.gate = asyncio.Event()
    crowd = [asyncio.create_task(it.opens(1)) for _ in range(200)]
    await it.world.settle()
    it.key.gate.set()
    assert not any(await asyncio.gather(*crowd))
    assert (it.asked(1), it.asked(2)) == (1, 1)


async def test_while_the_newest_is_being_asked_nobody_asks_for_the_refused_one(
    it: TwoVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.lose(1)
    tell = it.world.store.tell_refused

    async def told(binding: Binding, version: int) -> None:
        await tell(binding, version)
        it.key.gate = asyncio.Event()

    monkeypatch.setattr(it.world.store, "tell_refused", told)
    first = asyncio.create_task(it.opens(1))
    await it.world.settle()
    assert it.asked(2) == 1
    for _ in range(20):
        assert await it.word_on(1) == Reason.KEY_DISABLED
    assert it.key.gate is not None
    it.key.gate.set()
    assert not await first
    assert (it.asked(1), it.asked(2)) == (1, 1)


async def test_several_refused_versions_share_the_question_about_the_newest(
    it: TwoVersions,
) -> None:
    many = 10
    for _ in range(many - 1):
        await it.world.version(it.tenant, it.binding.id)
    for version in range(1, many + 1):
        it.lose(version)
    words = await asyncio.gather(*(it.opens(version) for version in range(1, many + 1)))
    assert words == [False] * many
    assert it.asked(many + 1) <= 2
    assert await it.opens(many + 1)
    assert it.world.store.sealed == []


async def test_an_erased_version_is_forgotten_and_not_asked_for_again(it: TwoVersions) -> None:
    it.lose(1)
    assert not await it.opens(1)
    rows = it.world.store.rows
    blob = it.blob(1)
    rows[it.tenant, 1] = replace(rows[it.tenant, 1], status=KeyStatus.REVOKED, wrapped=None)
    it.world.master_keys.heard(Announcement(Kind.REVOKED, it.tenant, None, "other", 1))
    assert it.world.seals.refused == 0
    await it.later()
    assert it.key.asked.count(blob) == 1
    with pytest.raises(KeyRevokedError):
        await it.opens(1)


async def test_an_erasure_that_was_not_heard_ends_the_tries(it: TwoVersions) -> None:
    it.lose(1)
    assert not await it.opens(1)
    rows = it.world.store.rows
    rows[it.tenant, 1] = replace(rows[it.tenant, 1], status=KeyStatus.REVOKED, wrapped=None)
    await it.later()
    assert it.world.seals.refused == 0


async def test_of_a_replaced_binding_its_own_newest_version_is_asked(it: TwoVersions) -> None:
    old = it.binding
    it.world.store.bindings[old.id] = replace(old, replaced=True)
    new = Binding(it.tenant, uuid.uuid4(), KmsTarget("aws", "new", {}, "new"))
    it.world.store.bindings[new.id] = new
    await it.world.version(it.tenant, new.id)
    fresh = it.world.keys.customers["new"]
    it.lose(1)
    assert not await it.opens(1)
    assert it.asked(2) == 1
    assert fresh.unwraps == 0
    assert await it.opens(2)
    assert await it.opens(3)
    assert it.world.store.sealed == []


async def test_a_sealed_binding_is_tried_with_its_newest_whoever_met_the_seal(
    it: TwoVersions,
) -> None:
    it.key.trouble = Reason.KEY_DISABLED
    assert not await it.opens(1)
    it.key.trouble = None
    it.lose(1)
    await it.later()
    assert it.world.store.unsealed == [it.binding.id]
    assert await it.opens(2)
    assert not await it.opens(1)
    assert len(it.world.store.sealed) == 1


async def test_an_old_version_that_opens_does_not_lift_the_seal_of_the_newest(
    it: TwoVersions,
) -> None:
    it.lose(2)
    assert not await it.opens(2)
    asked = it.asked(1)
    with pytest.raises(TenantSealedError):
        await it.world.master_keys.renew(it.tenant, 1)
    assert it.asked(1) == asked
    assert it.world.store.unsealed == []
    it.key.lost.clear()
    await it.later()
    assert it.world.store.unsealed == [it.binding.id]


async def test_a_key_that_was_proven_makes_refused_versions_due_at_once(it: TwoVersions) -> None:
    it.lose(1)
    assert not await it.opens(1)
    it.key.lost.clear()
    it.world.tending.hurry(it.binding)
    await it.world.settle()
    assert await it.opens(1)
    assert it.asked(1) == 2


async def test_a_process_that_cannot_tell_the_others_remembers_nothing(
    it: TwoVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.lose(1)

    async def unavailable(*_: object) -> None:
        raise UnavailableError

    monkeypatch.setattr(it.world.store, "tell_refused", unavailable)
    with pytest.raises(UnavailableError):
        await it.opens(1)
    monkeypatch.undo()
    assert await it.word_on(1) == Reason.KEY_DISABLED
    assert it.world.store.refused == [(it.binding.id, 1)]


async def test_a_refusal_is_the_bindings_while_nobody_can_tell_which_version_is_its_newest(
    it: TwoVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await it.opens(2)
    it.lose(1)

    async def unavailable(*_: object) -> int | None:
        raise UnavailableError

    monkeypatch.setattr(it.world.store, "newest_under", unavailable)
    assert not await it.opens(1)
    assert len(it.world.cache) == 0


async def test_processes_neither_flap_nor_send_each_other_to_the_cloud(it: TwoVersions) -> None:
    one, two = it, another_process(it)
    for process in (one, two):
        assert await process.opens(1)
        assert await process.opens(2)
    calls = it.key.unwraps
    it.lose(1)
    it.world.clock.now += 0.81 * CUSTOMER_TTL
    tell_each_other(one, two)
    for _ in range(int(2 * SEARCH_SECONDS)):
        for process in (one, two):
            await process.later(0.5)
            assert await process.opens(2)
            await process.opens(1)
    for process in (one, two):
        assert not await process.opens(1)
    assert it.world.store.sealed == []
    tries = 2 * SEARCH_SECONDS / (0.9 * RETRY)
    assert it.key.unwraps - calls <= 2 * 2 * (tries + 2)
    it.key.lost.clear()
    for process in (one, two):
        await process.later()
        assert await process.opens(1)


async def test_a_version_refused_elsewhere_is_dropped_here_and_no_other(it: TwoVersions) -> None:
    for version in (1, 2):
        assert await it.opens(version)
    told = Announcement(Kind.VERSION_REFUSED, it.tenant, it.binding.id, "other", 1)
    assert Announcement.parse(told.encode()) == told
    it.world.master_keys.heard(told)
    assert it.world.cache.get(it.tenant, 1) is None
    assert it.world.cache.get(it.tenant, 2) is not None


async def test_unsealing_by_hand_forgets_no_refusal(it: TwoVersions) -> None:
    it.lose(1)
    assert not await it.opens(1)
    assert await it.world.master_keys.try_now(CALL, it.tenant, 2)
    asked = it.asked(1)
    assert not await it.opens(1)
    assert await it.opens(2)
    assert it.asked(1) == asked


def another_process(it: TwoVersions) -> TwoVersions:
    """With a memory of its own, over the same store, clock and cloud."""
    world = World()
    world.clock, world.keys, world.store = it.world.clock, it.world.keys, it.world.store
    lifetimes = Lifetimes(CUSTOMER_TTL, PLATFORM_TTL)
    world.cache = MasterKeyCache(trusted=lambda: True, clock=world.clock)
    world.seals = Seals(RETRY, world.clock)
    world.master_keys = MasterKeys(
        world.store, world.keys, world.cache, world.seals, lifetimes=lifetimes, clock=world.clock
    )
    world.tending = Tending(
        world.master_keys,
        world.store,
        world.cache,
        world.seals,
        lifetimes=lifetimes,
        clock=world.clock,
    )
    return TwoVersions(world, it.tenant, it.key)


def tell_each_other(one: TwoVersions, two: TwoVersions) -> None:
    """As over LISTEN/NOTIFY, whoever it comes from: this one drops no less than the sender did."""

    async def tell_refused(binding: Binding, version: int) -> None:
        told = Announcement(Kind.VERSION_REFUSED, binding.tenant_id, binding.id, "x", version)
        for process in (one, two):
            process.world.master_keys.heard(told)

    one.world.store.tell_refused = tell_refused  # type: ignore[method-assign]
