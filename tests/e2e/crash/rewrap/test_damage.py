"""Data keys that cannot be moved: damaged on disk, or poison to whoever works on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.crash.rewrap.holdings import Holdings, new_holdings
from tests.faults.plan import ALWAYS, Fault

if TYPE_CHECKING:
    from uuid import UUID

    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 1_000
BAD = 3


def some_keys(holdings: Holdings, count: int) -> dict[UUID, bytes]:
    """Data keys from all over the tenant, as they are stored."""
    rows = holdings.stack.rows(
        "select id, wrapped from secrets.data_key where tenant_id = %s order by md5(id::text) limit %s",
        (holdings.user.id, count),
    )
    return dict(rows)


def store(holdings: Holdings, keys: dict[UUID, bytes]) -> None:
    for key_id, wrapped in keys.items():
        holdings.stack.execute(
            "update secrets.data_key set wrapped = %(wrapped)s"
            " where tenant_id = %(tenant)s and id = %(id)s",
            wrapped=wrapped,
            tenant=holdings.user.id,
            id=key_id,
        )


def assert_failed(holdings: Holdings, lease_id: int, bad: set[UUID]) -> None:
    """All but these keys moved; these are named, and where they were."""
    lease = holdings.ended(lease_id)
    assert lease["state"] == "failed"
    assert (lease["failed"], set(lease["failed_ids"])) == (len(bad), bad)
    assert len(lease["failed_ids"]) == len(bad)
    assert lease["done"] == holdings.count - len(bad)
    assert (lease["total"], lease["skipped"]) == (holdings.count, 0)
    target = lease["target_version"]
    assert holdings.versions() == {target: holdings.count - len(bad), target - 1: len(bad)}
    holdings.assert_recorded(lease_id, "rewrap.failed")
    holdings.assert_no_foreign_version()


def start_by_hand(holdings: Holdings) -> int:
    answer = holdings.user.call("POST", "/admin/tenant-kms/rewraps")
    assert answer.status_code == 201, answer.text
    lease_id: int = answer.json()["id"]
    return lease_id


def test_damaged_keys_are_named_all_others_move_and_a_start_by_hand_finishes_when_mended(
    faulty: FaultyStack,
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    good = some_keys(holdings, BAD)
    store(holdings, {key_id: form[:-1] + bytes([form[-1] ^ 1]) for key_id, form in good.items()})
    lease_id = holdings.user.rotate()["rewrap_lease_id"]
    assert_failed(holdings, lease_id, set(good))
    store(holdings, good)
    again = start_by_hand(holdings)
    holdings.assert_completed(again, total=BAD)


@pytest.mark.parametrize("point", ["kms-wrapped", "secrets-kms-answered"])
def test_a_key_that_breaks_every_batch_it_is_in_is_found_and_passed_over(
    faulty: FaultyStack, point: str
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    (poison,) = some_keys(holdings, 1)
    faulty.faults.arm(Fault(point, "raise", ALWAYS, poison.bytes.hex()))
    lease_id = holdings.user.rotate()["rewrap_lease_id"]
    assert_failed(holdings, lease_id, {poison})
    faulty.faults.disarm()
    again = start_by_hand(holdings)
    holdings.assert_completed(again, total=1)


def test_a_key_that_breaks_every_verification_it_is_in_ends_the_lease_failed_and_named(
    faulty: FaultyStack,
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    (poison,) = some_keys(holdings, 1)
    faulty.faults.arm(Fault("kms-verify-opened", "raise", ALWAYS, poison.bytes.hex()))
    lease_id = holdings.user.rotate()["rewrap_lease_id"]
    lease = holdings.ended(lease_id)
    assert (lease["state"], lease["failed_ids"]) == ("failed", [poison])
    assert (lease["done"], lease["verified"]) == (KEYS, KEYS - 1)
