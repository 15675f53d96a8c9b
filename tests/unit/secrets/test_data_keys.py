"""The pool of unused data keys: small, short-lived, wiped, each key handed out once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from services.common.errors import TenantSealedError, UnavailableError
from services.common.identity import enter_call
from services.secrets.clock import boot_seconds
from services.secrets.data_keys import MAX_ALL_WAITING, MAX_STOCK, MAX_WAITING, DataKeyPool
from tests.fakes.secrets_ports import MemoryKms, Watching, settle
from tests.fakes.secrets_values import a_call

TENANT = uuid4()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_the_first_key_of_a_quiet_tenant_is_asked_for_alone() -> None:
    kms = MemoryKms()
    pool = DataKeyPool(kms, Watching())
    await pool.take(TENANT)
    assert kms.generated == [1]
    assert pool.stock(TENANT) == 0
    await pool.aclose()


async def test_many_takers_share_calls_and_no_key_is_given_twice() -> None:
    kms = MemoryKms()
    pool = DataKeyPool(kms, Watching())
    keys = await asyncio.gather(*(pool.take(TENANT) for _ in range(200)))
    assert len({key.id for key in keys}) == 200
    assert len(kms.generated) <= 3
    await pool.aclose()


async def test_stock_never_grows_beyond_its_bound() -> None:
    kms = MemoryKms()
    pool = DataKeyPool(kms, Watching())
    for _ in range(10):
        await asyncio.gather(*(pool.take(TENANT) for _ in range(300)))
        assert pool.stock(TENANT) <= MAX_STOCK
    await pool.aclose()


async def test_a_key_past_its_time_is_wiped_and_never_handed_out() -> None:
    clock = Clock()
    kms = MemoryKms(usable_until=clock.now + 20)
    pool = DataKeyPool(kms, Watching(), clock=clock)
    taken = await asyncio.gather(*(pool.take(TENANT) for _ in range(5)))
    assert pool.stock(TENANT) > 0
    clock.now += 21
    kms.usable_until = clock.now + 20
    fresh = await pool.take(TENANT)
    assert fresh.usable_until > clock.now
    old = {key.id for key in taken}
    for key in kms.made:
        if key.usable_until < clock.now and key.id not in old:
            assert len(key.plaintext) == 0
    await pool.aclose()


async def test_keys_nobody_takes_are_wiped_when_their_time_is_over() -> None:
    kms = MemoryKms(usable_until=boot_seconds() + 0.05)
    watching = Watching()
    pool = DataKeyPool(kms, watching)
    taken = await asyncio.gather(*(pool.take(TENANT) for _ in range(5)))
    left = [key for key in kms.made if key not in taken]
    assert left
    await asyncio.wait_for(watching.wiped.wait(), 10)
    assert pool.stock(TENANT) == 0
    assert all(len(key.plaintext) == 0 for key in left)
    await pool.aclose()


async def test_a_key_for_a_caller_that_goes_away_at_that_moment_is_wiped() -> None:
    kms = MemoryKms()
    kms.gate.clear()
    pool = DataKeyPool(kms, Watching())
    taker = asyncio.create_task(pool.take(TENANT))
    await asyncio.sleep(0)
    kms.gate.set()
    await kms.answered.wait()
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker
    await pool.aclose()
    assert all(len(key.plaintext) == 0 for key in kms.made)


async def test_dropped_keys_are_wiped() -> None:
    kms = MemoryKms()
    watching = Watching()
    pool = DataKeyPool(kms, watching)
    taken = await asyncio.gather(*(pool.take(TENANT) for _ in range(5)))
    left = [key for key in kms.made if key not in taken]
    assert left
    pool.drop(TENANT)
    assert all(len(key.plaintext) == 0 for key in left)
    assert pool.stock(TENANT) == 0
    assert watching.counts["wiped"] == len(left)
    await pool.aclose()


async def test_closing_wipes_everything() -> None:
    kms = MemoryKms()
    pool = DataKeyPool(kms, Watching())
    taken = await asyncio.gather(*(pool.take(TENANT) for _ in range(5)))
    await pool.aclose()
    assert all(len(key.plaintext) == 0 for key in kms.made if key not in taken)


async def test_a_refusal_of_kms_reaches_every_taker_and_is_not_remembered() -> None:
    kms = MemoryKms()
    kms.fault = TenantSealedError()
    pool = DataKeyPool(kms, Watching())
    found = await asyncio.gather(*(pool.take(TENANT) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(error, TenantSealedError) for error in found)
    kms.fault = None
    assert (await pool.take(TENANT)).key_version == 1
    await pool.aclose()


async def test_one_tenants_slow_kms_does_not_hold_up_another() -> None:
    kms = MemoryKms()
    kms.gate.clear()
    slow = DataKeyPool(kms, Watching())
    waiting = asyncio.create_task(slow.take(TENANT))
    await asyncio.sleep(0)
    other = asyncio.create_task(slow.take(uuid4()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(kms.generated) == 2
    kms.gate.set()
    await asyncio.gather(waiting, other)
    await slow.aclose()


async def test_a_taker_that_goes_away_costs_the_others_nothing() -> None:
    kms = MemoryKms()
    kms.gate.clear()
    pool = DataKeyPool(kms, Watching())
    first, second = (asyncio.create_task(pool.take(TENANT)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    kms.gate.set()
    assert (await second).key_version == 1
    with pytest.raises(asyncio.CancelledError):
        await first
    await pool.aclose()


async def test_a_tenant_whose_keys_were_dropped_and_that_stays_away_is_forgotten() -> None:
    clock = Clock()
    pool = DataKeyPool(MemoryKms(), Watching(), clock=clock)
    await asyncio.gather(*(pool.take(TENANT) for _ in range(5)))
    assert pool.stock(TENANT) > 0
    clock.now += 5
    pool.drop(TENANT)
    assert not pool._shelves
    await pool.aclose()


async def test_more_waiting_than_can_be_held_in_hand_is_sent_away() -> None:
    kms = MemoryKms()
    kms.gate.clear()
    pool = DataKeyPool(kms, Watching())
    waiting = [asyncio.create_task(pool.take(TENANT)) for _ in range(MAX_WAITING)]
    await settle()
    with pytest.raises(UnavailableError):
        await pool.take(TENANT)
    other = asyncio.create_task(pool.take(uuid4()))
    kms.gate.set()
    await asyncio.gather(*waiting, other)
    await pool.take(TENANT)
    await pool.aclose()


async def test_tenants_whose_keys_are_out_of_reach_leave_room_for_those_of_the_next() -> None:
    kms = MemoryKms()
    kms.gate.clear()
    pool = DataKeyPool(kms, Watching())
    stuck = [uuid4() for _ in range(8)]
    flood = [asyncio.create_task(pool.take(stuck[n % 8])) for n in range(MAX_ALL_WAITING + 1)]
    await settle()
    assert any(task.done() for task in flood)
    other = asyncio.create_task(pool.take(uuid4()))
    await settle()
    kms.gate.set()
    await other
    await asyncio.gather(*flood, return_exceptions=True)
    await pool.aclose()


async def test_kms_is_told_the_request_id_of_a_call_that_waits() -> None:
    kms = MemoryKms()
    pool = DataKeyPool(kms, Watching())
    call = replace(a_call(TENANT), deadline=12.0)

    async def take() -> None:
        enter_call(call)
        await pool.take(TENANT)

    await asyncio.create_task(take())
    (asked_by,) = kms.asked_by
    assert asked_by is not None
    assert (asked_by.request_id, asked_by.deadline) == (call.request_id, None)
    await pool.aclose()
