"""Clouds that go silent, and customers who replace a key that is out of reach.

What disabling a key does is in `test_sealing.py`.
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


def test_a_sealed_tenant_can_connect_another_key_and_its_rewrap_waits_for_the_old_one(
    stack: RunningStack, connected: tuple[TenantUser, str]
) -> None:
    user, key = connected
    stack.cloud.disable(key)
    sealed(user)
    replaced = user.onboard(user.customer())
    assert replaced["new_key_version"] == 2
    assert user.get("/admin/tenant-kms")["config"]["sealed_since"] is None
    lease = eventually(
        lambda: found if (found := user.latest_lease())["state"] == "waiting" else None,
        "the rewrap waits",
    )
    assert lease["last_error"]
    user.create("new", "value")
    assert refusal_of(user, "new") is None  # what is stored now needs the new key alone
    stack.cloud.enable(key)
    ended = user.ended_lease(lease["id"], seconds=90)
    assert (ended["state"], ended["done"]) == ("completed", 1)
    stack.cloud.disable(key)
    readable(user)
    assert user.census()[1] == 0
