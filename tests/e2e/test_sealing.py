"""The customer's kill switch: disabling the key at the cloud stops reading, and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

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


def test_no_value_is_read_after_the_ttl_of_a_disabled_key(
    stack: RunningStack, connected: tuple[TenantUser, str]
) -> None:
    user, key = connected
    assert user.value("secret") == "value"
    stack.cloud.disable(key)
    dead = time.monotonic() + CUSTOMER_TTL_SECONDS

    def look() -> CofferError | None:
        asked = time.monotonic()
        refusal = refusal_of(user)
        assert refusal is not None or asked < dead, "a value was served past the TTL"
        return refusal

    refusal = eventually(look, "reading is refused", seconds=20)
    assert refusal.code == "tenant_sealed"
    assert refusal.retry_after is not None
    assert refusal.grpc_code == "UNAVAILABLE"


def test_a_sealed_tenant_lists_and_is_told_503_and_unseals_by_itself(
    stack: RunningStack, connected: tuple[TenantUser, str]
) -> None:
    user, key = connected
    other = stack.tenant()
    other.onboard(other.customer())
    other.create("secret", "value")
    stack.cloud.disable(key)
    sealed(user)

    body = {"name": "new", "value": "value"}

    def refused() -> Any:
        answer = user.call("POST", "/v1/secrets", json=body | {"name": f"n{time.monotonic_ns()}"})
        return answer if answer.status_code != 201 else None

    answer = eventually(refused, "no data key is left to store with")
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["type"] == "tenant_sealed"
    assert int(answer.headers["retry-after"]) == error["retry_after"] > 0
    # Metadata needs no key.
    assert user.rows()["secret"]["value_version"] == 1
    assert user.get(f"/v1/secrets/{user.rows()['secret']['id']}")["data"]["name"] == "secret"
    status = user.get("/admin/tenant-kms")["config"]
    assert status["sealed_since"] is not None
    assert status["last_verify_error"] == "key_disabled"
    rotation = user.call("POST", "/admin/tenant-kms/rotate", headers=user.step_up())
    assert (rotation.status_code, rotation.json()["error"]["type"]) == (409, "tenant_sealed")
    proof = user.call("POST", "/admin/tenant-kms/verify")
    assert proof.json()["error"]["reason"] == "key_disabled"
    # Nobody else notices.
    assert other.value("secret") == "value"
    assert other.get("/admin/tenant-kms")["config"]["sealed_since"] is None

    stack.cloud.enable(key)
    readable(user)
    status = user.get("/admin/tenant-kms")["config"]
    assert (status["sealed_since"], status["last_verify_error"]) == (None, None)
    assert user.call("POST", "/v1/secrets", json=body).status_code == 201


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
