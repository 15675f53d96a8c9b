"""Wrapping anew what an earlier platform key wrapped: races, failures, and who is asked how often."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from services.common.errors import KmsVerifyFailedError, UnavailableError
from services.common.identity import Call
from services.kms.keys import hierarchy
from services.kms.lifecycle.rekeying import Rekeying
from services.kms.model import KeyStatus, MasterKeyRow, Reason, WrapMethod, Wrapped
from tests.fakes.kms_keys import FakeClock, FakeKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.kms.ports import WrappingKey

CALL = Call("service:operator", "r")
Name = tuple[uuid.UUID, int]


@dataclass
class Keys:
    """An old key of method `global`, a present one of `operator_kms`."""

    old: FakeKey = field(default_factory=FakeKey)
    present: FakeKey = field(default_factory=FakeKey)
    platform_method: WrapMethod = WrapMethod.OPERATOR_KMS

    def platform(self, method: WrapMethod | None = None) -> WrappingKey:
        return self.old if method is WrapMethod.GLOBAL else self.present

    def is_present(self, row: MasterKeyRow, present_ref: str | None) -> bool:
        assert present_ref == "fake key"
        return row.wrap_method is self.platform_method


@dataclass
class Store:
    """Implements PlatformKeyStore; `before_swap` happens to a row between its reading and its change."""

    rows: dict[Name, MasterKeyRow] = field(default_factory=dict)
    before_swap: Callable[[Store, Name], None] | None = None
    trouble: set[Name] = field(default_factory=set)
    swaps: int = 0

    async def platform_keys(self, after: Name, limit: int) -> list[Name]:
        return sorted(name for name in self.rows if name > after)[:limit]

    async def count_platform_keys(self) -> int:
        return len(self.rows)

    async def find_platform_key(self, tenant_id: uuid.UUID, version: int) -> MasterKeyRow | None:
        if (tenant_id, version) in self.trouble:
            raise UnavailableError
        row = self.rows[tenant_id, version]
        return None if row.status is KeyStatus.REVOKED else row

    async def rewrap_platform_key(
        self, call: Call, row: MasterKeyRow, method: WrapMethod, wrapped: Wrapped
    ) -> bool:
        name = (row.tenant_id, row.version)
        if self.before_swap is not None:
            self.before_swap(self, name)
        now = self.rows[name]
        if now.wrapped != row.wrapped or now.status is KeyStatus.REVOKED:
            return False
        self.rows[name] = replace(now, wrap_method=method, wrapped=wrapped)
        self.swaps += 1
        return True


class World:
    def __init__(self) -> None:
        self.keys, self.store, self.clock = Keys(), Store(), FakeClock()
        self.rekeying = Rekeying(self.store, self.keys, clock=self.clock, pause_seconds=0.0)

    async def add(self, count: int) -> list[Name]:
        names = []
        for _ in range(count):
            tenant_id, key_id, master_key = uuid.uuid4(), uuid.uuid4(), os.urandom(32)
            check = hierarchy.check_value(master_key, tenant_id, key_id)
            row = MasterKeyRow(tenant_id, 1, key_id, WrapMethod.GLOBAL, None, check)
            wrapped = await self.keys.old.wrap(row.facts, master_key)
            self.store.rows[tenant_id, 1] = replace(row, wrapped=wrapped)
            names.append((tenant_id, 1))
        return sorted(names)


@pytest.fixture
def world() -> World:
    return World()


async def test_pages_go_on_where_the_last_one_ended_and_end(world: World) -> None:
    await world.add(5)
    cursor, sizes = "", []
    for _ in range(4):
        page = await world.rekeying.page(CALL, cursor, 2)
        sizes.append(page.rewrapped)
        cursor = page.next_cursor
        if not cursor:
            break
    assert sizes == [2, 2, 1]
    assert (await world.rekeying.page(CALL, "", 5)).next_cursor, "a full page may have a next one"
    assert (await world.rekeying.page(CALL, "", 6)).current == 5


async def test_nothing_to_do_asks_no_cloud(world: World) -> None:
    page = await world.rekeying.page(CALL, "", 10)
    assert (page.examined, page.next_cursor, world.keys.present.wraps) == (0, "", 0)


async def test_a_present_key_that_cannot_be_used_changes_nothing_and_is_told(world: World) -> None:
    await world.add(3)
    world.keys.present.trouble = Reason.ACCESS_DENIED
    with pytest.raises(KmsVerifyFailedError) as caught:
        await world.rekeying.page(CALL, "", 10)
    assert (caught.value.reason, caught.value.hint) == ("access_denied", "as told")
    assert (world.store.swaps, world.keys.present.wraps) == (0, 1)


async def test_a_key_that_opens_to_something_else_is_not_stored_anew(world: World) -> None:
    await world.add(1)
    world.keys.old.forged = bytes(32)
    page = await world.rekeying.page(CALL, "", 10)
    assert (page.failed, world.store.swaps) == (1, 0)


async def test_one_faulty_row_is_told_and_the_others_go_on(world: World) -> None:
    [first, *_] = await world.add(4)
    world.store.trouble.add(first)
    page = await world.rekeying.page(CALL, "", 10)
    assert (page.rewrapped, page.failed, page.failed_tenant_ids) == (3, 1, (first[0],))


async def test_another_rekey_that_came_first_is_no_failure(world: World) -> None:
    [name] = await world.add(1)
    row = world.store.rows[name]
    assert row.wrapped is not None
    other = Wrapped(b"by the other", "fake key")

    def other_was_first(store: Store, name: Name) -> None:
        store.before_swap = None
        store.rows[name] = replace(row, wrap_method=WrapMethod.OPERATOR_KMS, wrapped=other)

    world.store.before_swap = other_was_first
    page = await world.rekeying.page(CALL, "", 10)
    assert (page.current, page.failed) == (1, 0)
    assert world.store.rows[name].wrapped == other


async def test_a_version_revoked_in_the_middle_gets_no_bytes_again(world: World) -> None:
    [name] = await world.add(1)

    def revoke(store: Store, name: Name) -> None:
        store.rows[name] = replace(store.rows[name], wrapped=None, status=KeyStatus.REVOKED)

    world.store.before_swap = revoke
    page = await world.rekeying.page(CALL, "", 10)
    assert (page.examined, page.rewrapped, page.failed) == (1, 0, 0)
    assert world.store.rows[name].wrapped is None


async def test_a_moment_of_throttling_is_waited_out_and_a_long_one_ends(world: World) -> None:
    await world.add(1)
    world.keys.old.trouble = Reason.THROTTLED
    page = await world.rekeying.page(CALL, "", 10)
    assert (page.failed, world.keys.old.unwraps) == (1, 3)
    world.keys.old.trouble = Reason.KEY_DISABLED
    await world.rekeying.page(CALL, "", 10)
    assert world.keys.old.unwraps == 4, "a refusal is not asked again"
    world.keys.old.trouble = None
    assert (await world.rekeying.page(CALL, "", 10)).rewrapped == 1
