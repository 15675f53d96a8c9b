"""What breaks when a step-up token that is none, spent, stale or another's opens what needs a fresh one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.contract import wire
from tests.e2e.contract.endpoints import STEPPED_UP, Endpoint

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

EVERY = pytest.mark.parametrize("endpoint", STEPPED_UP, ids=str)
JSON = {"content-type": "application/json"}
STEP_UP = "x-knoxcall-stepup"
WINDOWS = {
    "RotateMasterKey": 300,
    "UnsealTenant": 120,
    "RevokeKeyVersion": 120,
    "DeleteTenantKms": 300,
}
"""Seconds, as in the wire contract. A new endpoint with a window belongs here."""
MARGIN_SECONDS = 30


@pytest.fixture(scope="module")
def anybody(stack: RunningStack) -> TenantUser:
    """A tenant without a key of its own: a request that gets through finds nothing to work on."""
    return stack.tenant()


def signed(user: TenantUser, **claims: Any) -> str:
    """A step-up token with other claims than a good one."""
    good = {"sub": "dev-owner", "tenant_id": user.id, "role": "owner", "purpose": "step_up"}
    return user.stack.issuer.sign(good | {"auth_time": int(time.time())} | claims, 300)


def test_every_window_is_the_documented_one() -> None:
    found = {str(one): one.policy.admin.step_up_window_seconds for one in STEPPED_UP}
    assert found == WINDOWS


@EVERY
def test_a_broken_body_does_not_use_up_the_step_up(anybody: TenantUser, endpoint: Endpoint) -> None:
    once, path = anybody.step_up(), endpoint.path()
    for body in (b"{", b'{"unknown": 1}') if endpoint.has_body else ():
        answer = anybody.call(endpoint.method, path, headers=once | JSON, content=body)
        wire.error_of(answer, 400, "validation_error")
    unknown = anybody.call(endpoint.method, path, headers=once, params={"unknown": "1"})
    wire.error_of(unknown, 400, "validation_error")
    # It is still good: the call gets as far as finding nothing to work on.
    answer = anybody.call(endpoint.method, path, headers=once, **endpoint.body(anybody))
    assert answer.status_code == 404, answer.text
    # And it was used up by that, though nothing came of it.
    again = anybody.call(endpoint.method, path, headers=once, **endpoint.body(anybody))
    assert wire.error_of(again, 403, "step_up_required")["reason"] == "used"


@EVERY
def test_a_missing_step_up_is_told_before_the_body(anybody: TenantUser, endpoint: Endpoint) -> None:
    answer = anybody.call(endpoint.method, endpoint.path(), headers=JSON, content=b"{")
    assert wire.error_of(answer, 403, "step_up_required")["reason"] == "missing"
    headers = JSON | {STEP_UP: signed(anybody, auth_time=1_000_000_000)}
    answer = anybody.call(endpoint.method, endpoint.path(), headers=headers, content=b"{")
    wire.error_of(answer, 403, "step_up_expired")


@EVERY
def test_a_step_up_is_fresh_for_the_window_of_its_endpoint(
    anybody: TenantUser, endpoint: Endpoint
) -> None:
    window = WINDOWS[str(endpoint)]
    for age, status in ((window - MARGIN_SECONDS, 404), (window + MARGIN_SECONDS, 403)):
        headers = {STEP_UP: signed(anybody, auth_time=int(time.time()) - age)}
        body = endpoint.body(anybody)
        answer = anybody.call(endpoint.method, endpoint.path(), headers=headers, **body)
        assert answer.status_code == status, answer.text
    wire.error_of(answer, 403, "step_up_expired")


@EVERY
def test_a_step_up_that_is_anothers_or_for_another_purpose_is_none(
    anybody: TenantUser, endpoint: Endpoint
) -> None:
    tenant = anybody.stack.tenant()
    good = anybody.step_up()[STEP_UP]
    tampered = good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:]
    for token in (
        tenant.step_up()[STEP_UP],
        signed(anybody, sub="somebody-else"),
        signed(anybody, purpose="login"),
        anybody.admin_jwt,
        tampered,
        "nonsense",
    ):
        answer = anybody.call(
            endpoint.method, endpoint.path(), headers={STEP_UP: token}, **endpoint.body(anybody)
        )
        assert wire.error_of(answer, 403, "step_up_required")["reason"] == "invalid", token
