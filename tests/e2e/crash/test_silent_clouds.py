"""Clouds that go silent.

What disabling a key does is in `test_sealing.py`. Whose service a cloud that hangs takes, and what becomes of
a key that is out of reach when it is replaced, is in `tests/e2e/clouds`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from services.common.errors import CofferError
from tests.fixtures.eventually import eventually
from tests.fixtures.stack import CUSTOMER_TTL_SECONDS

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser


def refusal_of(user: TenantUser, name: str = "secret") -> CofferError | None:
    """What AccessSecret is refused with; None when it gives the value."""
    try:
        assert user.value(name) == "value"
    except CofferError as refusal:
        return refusal
    return None


def sealed(user: TenantUser) -> CofferError:
    return eventually(lambda: refusal_of(user), "reading is refused", seconds=20)


def readable(user: TenantUser) -> None:
    eventually(lambda: refusal_of(user) is None, "reading works again", seconds=20)


@pytest.fixture
def connected(tenant: TenantUser) -> tuple[TenantUser, str]:
    """The tenant with a secret under its own key, and that key's ARN."""
    customer = tenant.customer()
    tenant.onboard(customer)
    tenant.create("secret", "value")
    return tenant, customer.key_arn


def test_a_cloud_that_does_not_answer_seals_nobody_before_the_ttl_ends(
    stack: RunningStack, connected: tuple[TenantUser, str]
) -> None:
    user, key = connected
    asked = time.monotonic()
    user.rotate()  # a key that was asked for after `asked`
    user.ended_lease()
    assert user.value("secret") == "value"
    stack.cloud.throttle(key)
    try:
        refusal = sealed(user)
        assert time.monotonic() - asked >= CUSTOMER_TTL_SECONDS * 0.9
        assert refusal.code == "tenant_sealed"
    finally:
        stack.cloud.clear_faults(key)
    readable(user)
