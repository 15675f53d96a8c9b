"""What would let a key be used longer, or by more, than allowed."""

from __future__ import annotations

import uuid

import pytest

from services.kms.keys.cache import CachedKey, MasterKeyCache
from services.kms.keys.hierarchy import OpenMasterKey
from tests.fakes.kms_keys import FakeClock

TENANT, OTHER, BINDING = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()


class Fixture:
    def __init__(self, max_keys: int = 10) -> None:
        self.clock, self.trusted = FakeClock(), True
        self.cache = MasterKeyCache(
            trusted=lambda: self.trusted, clock=self.clock, max_keys=max_keys
        )

    def entry(self, version: int = 1, tenant: uuid.UUID = TENANT, life: float = 100.0) -> CachedKey:
        key = OpenMasterKey(bytes(32), tenant, version)
        return CachedKey(key, BINDING, self.clock.now, self.clock.now + life)

    def keep(self, version: int = 1, tenant: uuid.UUID = TENANT) -> bool:
        return self.cache.keep(self.cache.mark(tenant), self.entry(version, tenant))


@pytest.fixture
def it() -> Fixture:
    return Fixture()


def test_a_key_is_served_until_its_end_and_not_at_it(it: Fixture) -> None:
    it.keep()
    it.clock.now += 99.999
    assert it.cache.get(TENANT, 1) is not None
    it.clock.now += 0.001
    assert it.cache.get(TENANT, 1) is None
    assert len(it.cache) == 0


def test_time_counts_from_when_the_request_was_sent(it: Fixture) -> None:
    mark, entry = it.cache.mark(TENANT), it.entry()
    it.clock.now += 60  # a slow answer
    assert it.cache.keep(mark, entry)
    it.clock.now += 40
    assert it.cache.get(TENANT, 1) is None


def test_nothing_is_served_while_an_invalidation_might_go_unheard(it: Fixture) -> None:
    it.keep()
    it.cache.keep_active(it.cache.mark(TENANT), TENANT, 1)
    it.trusted = False
    assert it.cache.get(TENANT, 1) is None
    assert it.cache.active(TENANT) is None
    assert not it.cache.lives(BINDING)
    assert not it.keep()


def test_a_flush_forgets_everything_and_what_was_under_way(it: Fixture) -> None:
    it.keep()
    mark = it.cache.mark(OTHER)
    it.cache.flush()
    assert len(it.cache) == 0
    assert not it.cache.keep(mark, it.entry(1, OTHER))


def test_a_dropped_bindings_key_under_way_is_not_kept(it: Fixture) -> None:
    mark, others = it.cache.mark(TENANT), it.cache.mark(OTHER)
    it.keep()
    it.cache.drop_binding(TENANT, BINDING)
    assert it.cache.get(TENANT, 1) is None
    assert not it.cache.keep(mark, it.entry())
    assert it.cache.keep(others, it.entry(1, OTHER))


def test_a_new_version_forgets_which_was_active_but_no_open_key(it: Fixture) -> None:
    mark = it.cache.mark(TENANT)
    it.keep()
    it.cache.keep_active(mark, TENANT, 1)
    it.cache.forget_active(TENANT)
    assert it.cache.active(TENANT) is None
    assert it.cache.get(TENANT, 1) is not None
    it.cache.keep_active(mark, TENANT, 1)
    assert it.cache.active(TENANT) is None, "it was read before the change"
    assert it.cache.keep(mark, it.entry(2))


def test_letting_a_key_go_spoils_nothing_that_is_under_way(it: Fixture) -> None:
    mark = it.cache.mark(TENANT)
    it.keep(1)
    it.cache.let_go(TENANT, 1)
    it.cache.let_go(TENANT, 7)
    assert it.cache.get(TENANT, 1) is None
    assert it.cache.keep(mark, it.entry(2))


def test_dropping_a_tenant_leaves_the_others(it: Fixture) -> None:
    it.keep(1)
    it.keep(2)
    it.keep(1, OTHER)
    it.cache.drop_tenant(TENANT)
    assert it.cache.get(TENANT, 1) is None
    assert it.cache.get(TENANT, 2) is None
    assert it.cache.get(OTHER, 1) is not None


def test_the_cache_is_bounded_and_the_least_used_goes_first() -> None:
    it = Fixture(max_keys=3)
    for version in (1, 2, 3):
        it.keep(version)
    it.cache.get(TENANT, 1)
    it.keep(4)
    assert len(it.cache) == 3
    assert it.cache.get(TENANT, 1) is not None
    assert it.cache.get(TENANT, 2) is None


def test_marks_of_forgotten_tenants_never_come_true_again() -> None:
    it = Fixture(max_keys=2)
    mark = it.cache.mark(TENANT)
    it.cache.drop_tenant(TENANT)
    for _ in range(5):
        it.cache.drop_tenant(uuid.uuid4())
    assert not it.cache.keep(mark, it.entry())


def test_only_keys_in_use_are_due_and_only_after_four_fifths(it: Fixture) -> None:
    it.keep(1)
    it.keep(2)
    it.cache.get(TENANT, 1)
    it.clock.now += 79.9
    assert list(it.cache.due()) == []
    it.clock.now += 0.2
    assert [version for _, version, _ in it.cache.due()] == [1]
    it.clock.now += 20
    assert list(it.cache.due()) == []
    assert len(it.cache) == 0
