"""Rewraps that race with what makes them: rotations, a new key, revocations, off-boarding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.crash.rewrap.holdings import PATIENCE_SECONDS, Holdings, new_holdings
from tests.faults.plan import Fault
from tests.fixtures.eventually import eventually
from tests.fixtures.tenant_user import together

if TYPE_CHECKING:
    import httpx

    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 1_000
ROUNDS = 4


def revoke(holdings: Holdings, version: int) -> httpx.Response:
    return holdings.user.stepped_up(
        "POST",
        f"/admin/tenant-kms/keys/{version}/revoke",
        json={"confirm": holdings.user.slug},
    )


def leases(holdings: Holdings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = holdings.user.get("/admin/tenant-kms/rewraps", per_page=100)[
        "rewraps"
    ]
    return found


@pytest.mark.parametrize("step", ["secrets-batch-read", "secrets-kms-answered"])
def test_a_batch_of_a_superseded_lease_changes_nothing(faulty: FaultyStack, step: str) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    faulty.faults.arm(Fault(step, "hold", 3))
    first = holdings.user.rotate()["rewrap_lease_id"]
    faulty.faults.await_fired(step, seconds=PATIENCE_SECONDS)
    holdings.user.onboard(holdings.user.customer())
    second = holdings.user.latest_lease()["id"]
    assert second > first
    counted = holdings.lease_row(first)
    assert counted is not None
    assert counted["state"] == "superseded"
    faulty.faults.let_go(step)
    holdings.assert_completed(second)
    assert holdings.lease_row(first) == counted
    # Every key was moved to the newest version by one of the two, or by both in turn.
    assert counted["done"] <= KEYS


def test_a_version_cannot_be_revoked_while_a_rewrap_still_needs_it(faulty: FaultyStack) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    old = max(holdings.versions())
    faulty.faults.arm(Fault("secrets-kms-answered", "hold", 3))
    lease_id = holdings.user.rotate()["rewrap_lease_id"]
    faulty.faults.await_fired("secrets-kms-answered", seconds=PATIENCE_SECONDS)
    refused = revoke(holdings, old)
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "key_in_use")
    faulty.faults.let_go("secrets-kms-answered")
    holdings.assert_completed(lease_id)
    assert revoke(holdings, old).status_code == 200
    holdings.assert_opens()


def test_rotations_new_keys_and_revocations_at_once_leave_one_lease_that_ends_complete(
    faulty: FaultyStack,
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    user = holdings.user

    def rotate() -> None:
        for _ in range(ROUNDS):
            answer = user.stepped_up("POST", "/admin/tenant-kms/rotate")
            assert answer.status_code in {200, 409}, answer.text

    def onboard() -> None:
        for _ in range(ROUNDS):
            body = user.onboarding(user.customer())
            answer = user.call("POST", "/admin/tenant-kms", json=body)
            assert answer.status_code in {200, 409}, answer.text

    def revoke_all() -> None:
        for _ in range(ROUNDS):
            for version in sorted(user.keys()):
                answer = revoke(holdings, version)
                if answer.status_code != 200:
                    assert answer.status_code in {409, 410}, answer.text

    together([rotate, onboard, revoke_all, revoke_all])
    last = eventually(lambda: leases(holdings)[0]["id"], "there is a last lease")
    lease = holdings.ended(last)
    assert lease["state"] == "completed", lease
    assert {one["state"] for one in leases(holdings)} <= {"completed", "superseded"}
    assert holdings.versions() == {lease["target_version"]: holdings.count}
    holdings.assert_untouched()
    holdings.assert_opens()
    holdings.assert_recorded(last, "rewrap.completed")
