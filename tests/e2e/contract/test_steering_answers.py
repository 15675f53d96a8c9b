"""What an administrator steers over HTTP: a rewrap by hand, held, slowed down, let go on, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.contract import wire
from tests.e2e.life.rewraps import rewraps_held
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

PATH = "/admin/tenant-kms/rewraps"
VALUES = {f"S{number}": f"value {number}" for number in range(12)}
SLOW = 2
"""Data keys per second: so the rewrap of these values takes seconds, which nobody waits for."""
FAST = 1000
STARTED = {
    "id": int,
    "state": "enqueued",
    "reason": "manual",
    "target_version": 2,
    "total": None,
    "done": 0,
    "skipped": 0,
    "failed": 0,
    "rate_per_second": None,
    "eta_seconds": None,
    "throttle_per_second": SLOW,
    "created_at": wire.TIME,
    "started_at": None,
    "finished_at": None,
    "last_error": None,
}
STEPS = ("pause", "resume", "cancel")


def send(tenant: TenantUser, path: str = "", key: str = "", **body: Any) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return tenant.call("POST", f"{PATH}{path}", json=body, headers=headers)


def lease_of(answer: httpx.Response, status: int = 200) -> Any:
    """The lease in an answer, which has the documented members."""
    assert answer.status_code == status, answer.text
    wire.assert_json(answer)
    lease = answer.json()
    assert lease.keys() == STARTED.keys()
    return lease


def throttle(tenant: TenantUser, lease_id: int, per_second: int | None) -> httpx.Response:
    body = {"throttle_per_second": per_second}
    return tenant.call("PATCH", f"{PATH}/{lease_id}", json=body)


def started_by_hand(tenant: TenantUser) -> int:
    """A slow rewrap, after the one that connecting a key started was cancelled. Looks at both answers."""
    tenant.create_all(VALUES)
    with rewraps_held(tenant):
        tenant.onboard(tenant.customer())
        first = tenant.latest_lease()["id"]
        busy = wire.error_of(send(tenant), 409, "rewrap_running")
        assert str(first) in busy["message"]
        cancelled = lease_of(send(tenant, f"/{first}/cancel"))
        assert (cancelled["state"], cancelled["done"]) == ("cancelled", 0)
        assert wire.TIME.fullmatch(cancelled["finished_at"])
        answers = [send(tenant, key="by hand", throttle_per_second=SLOW) for _ in range(2)]
    lease = lease_of(answers[0], 201)
    wire.assert_form(STARTED, lease)
    assert lease_of(answers[1], 201) == lease
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true"]
    assert {answer.headers["location"] for answer in answers} == {f"{PATH}/{lease['id']}"}
    return int(lease["id"])


def test_a_rewrap_by_hand_is_held_changed_and_completed(tenant: TenantUser) -> None:
    lease_id = started_by_hand(tenant)
    eventually(lambda: tenant.lease(lease_id)["done"] > 0, "something was moved")
    key = f"pause {lease_id}"
    paused = lease_of(send(tenant, f"/{lease_id}/pause", key))
    assert paused["state"] == "paused"
    assert 0 < paused["done"] < paused["total"] == len(VALUES)
    assert (paused["rate_per_second"], paused["eta_seconds"]) == (None, None)
    tenant.stack.at_rest()
    assert tenant.lease(lease_id) == paused
    assert lease_of(send(tenant, f"/{lease_id}/pause", key)) == paused
    assert tenant.census() == {1: len(VALUES) - paused["done"], 2: paused["done"]}
    assert tenant.values(VALUES) == VALUES
    assert lease_of(throttle(tenant, lease_id, FAST))["throttle_per_second"] == FAST
    assert lease_of(throttle(tenant, lease_id, None))["throttle_per_second"] is None
    assert lease_of(send(tenant, f"/{lease_id}/resume"))["state"] == "enqueued"
    ended = tenant.ended_lease(lease_id)
    assert (ended["state"], ended["done"], ended["failed"]) == ("completed", len(VALUES), 0)
    assert tenant.census() == {1: 0, 2: len(VALUES)}
    told = [one.action for one in tenant.stack.audit(tenant.id) if "rewrap." in one.action]
    besides = {"rewrap.started", "rewrap.report.signed"}
    assert [action for action in told if action not in besides] == [
        "rewrap.cancelled", "rewrap.requested", "rewrap.paused", "rewrap.throttled",
        "rewrap.throttled", "rewrap.resumed", "rewrap.completed",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def ended(stack: RunningStack) -> tuple[TenantUser, int]:
    """A tenant and its rewrap that has completed."""
    tenant = stack.tenant()
    tenant.onboard(tenant.customer())
    return tenant, tenant.ended_lease()["id"]


def test_what_has_ended_is_not_steered(ended: tuple[TenantUser, int]) -> None:
    tenant, lease_id = ended
    before = tenant.lease(lease_id)
    for answer in (
        *(send(tenant, f"/{lease_id}/{step}") for step in STEPS),
        throttle(tenant, lease_id, 5),
    ):
        error = wire.error_of(answer, 409, "invalid_state")
        assert "completed" in error["message"]
        assert error["hint"]
    assert tenant.lease(lease_id) == before


def test_what_is_not_there_is_not_found(ended: tuple[TenantUser, int]) -> None:
    tenant, lease_id = ended
    for unknown in (lease_id + 1_000_000, (1 << 63) - 1):
        for step in STEPS:
            wire.error_of(send(tenant, f"/{unknown}/{step}"), 404, "not_found")
        wire.error_of(throttle(tenant, unknown, 5), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"throttle_per_second": 0}, "throttle_per_second"),
        ({"throttle_per_second": 1_000_001}, "throttle_per_second"),
        ({"throttle_per_second": "5"}, "throttle_per_second"),
        ({"throttle_per_second": 1.5}, "throttle_per_second"),
        ({"throttle_per_second": 5, "state": "completed"}, "state"),
    ],
)
def test_a_wrong_change_is_named(
    ended: tuple[TenantUser, int], body: dict[str, Any], field: str
) -> None:
    tenant, lease_id = ended
    answer = tenant.call("PATCH", f"{PATH}/{lease_id}", json=body)
    assert field in wire.error_of(answer, 400, "validation_error")["fields"]
    if body:
        answer = tenant.call("POST", PATH, json=body)
        assert field in wire.error_of(answer, 400, "validation_error")["fields"]


def test_a_tenant_without_a_key_has_nothing_to_start(tenant: TenantUser) -> None:
    error = wire.error_of(send(tenant), 409, "invalid_state")
    assert error["hint"]
