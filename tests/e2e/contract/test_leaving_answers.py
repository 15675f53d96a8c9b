"""What breaks when a tenant unseals by hand, replaces its key or goes back to the platform's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devcloud.aws.model import KeyState
from services.common.errors import CofferError
from tests.e2e.contract import wire
from tests.fixtures.eventually import eventually
from tests.fixtures.stack import CUSTOMER_TTL_SECONDS, running_stack

if TYPE_CHECKING:
    import httpx

    from devcloud.aws.seed import Customer
    from tests.fixtures.tenant_user import TenantUser

KMS = "/admin/tenant-kms"
FEW = 40
MANY = 3_000
LEFT_SECONDS = 40.0


def unseal(tenant: TenantUser) -> httpx.Response:
    return tenant.call("POST", f"{KMS}/unseal", headers=tenant.step_up())


def leave(tenant: TenantUser) -> httpx.Response:
    return tenant.call("DELETE", KMS, headers=tenant.step_up())


def sealed(tenant: TenantUser, name: str) -> bool:
    """Whether a value is refused because the key cannot be used."""
    try:
        tenant.value(name)
    except CofferError as error:
        return error.code == "tenant_sealed"
    return False


def left(tenant: TenantUser) -> bool:
    """Whether the status says that no key is connected."""
    answer = tenant.call("GET", KMS)
    if answer.status_code == 404:
        wire.error_of(answer, 404, "no_kms_config")
    return answer.status_code == 404


def sealed_since(tenant: TenantUser) -> Any:
    return tenant.get(KMS)["config"]["sealed_since"]


def calls_to(tenant: TenantUser, customer: Customer) -> int:
    cloud = tenant.stack.cloud
    return cloud.count(None, customer.key_arn) + cloud.count(None, customer.role_arn)


def test_unsealing_answers_as_documented(tenant: TenantUser) -> None:
    wire.error_of(unseal(tenant), 404, "no_kms_config")
    customer = tenant.customer()
    tenant.onboard(customer)
    wire.error_of(unseal(tenant), 409, "not_sealed")
    tenant.create("before", "sealed")
    no_token = wire.error_of(tenant.call("POST", f"{KMS}/unseal"), 403, "step_up_required")
    assert no_token["reason"] == "missing"
    tenant.stack.cloud.deny(customer.key_arn, ["kms:Decrypt"])

    def sealed() -> bool:
        return (
            tenant.call("POST", "/v1/secrets", json={"name": "X", "value": "v"}).status_code == 503
        )

    eventually(sealed, "sealed", seconds=CUSTOMER_TTL_SECONDS + 20)
    refused = tenant.call("POST", "/v1/secrets", json={"name": "X", "value": "v"})
    assert wire.error_of(refused, 503, "tenant_sealed")["reason"] == "access_denied"
    assert int(refused.headers["retry-after"]) >= 1
    error = wire.error_of(unseal(tenant), 502, "unseal_failed")
    assert (error["reason"], error["provider"]) == ("access_denied", "aws")
    assert error["hint"].startswith("access_denied: ")
    assert "kms:Decrypt" in error["hint"]
    assert sealed_since(tenant)
    tenant.stack.cloud.allow(customer.key_arn)
    answer = unseal(tenant)
    if answer.status_code == 409:  # the background was there first
        wire.error_of(answer, 409, "not_sealed")
    else:
        assert answer.json() == {"unsealed": True}
    assert sealed_since(tenant) is None
    assert tenant.value("before") == "sealed"


def test_leaving_answers_as_documented_and_ends_by_itself(tenant: TenantUser) -> None:
    wire.error_of(leave(tenant), 404, "no_kms_config")
    customer = tenant.customer()
    tenant.onboard(customer)
    values = {f"S{number:03}": f"value {number}" for number in range(FEW)}
    tenant.create_all(values)
    before = tenant.rows()
    no_token = wire.error_of(tenant.call("DELETE", KMS), 403, "step_up_required")
    assert no_token["reason"] == "missing"
    tenant.stack.cloud.disable(customer.key_arn)  # so that the rewrap has to wait
    eventually(lambda: sealed(tenant, "S000"), "sealed", seconds=LEFT_SECONDS)

    answer = leave(tenant)
    assert answer.status_code == 200, answer.text
    told = {"ok": True, "new_key_version": 2, "rewrap_lease_id": int}
    wire.assert_form(told, answer.json())
    lease_id = answer.json()["rewrap_lease_id"]
    lease = tenant.lease(lease_id)
    assert (lease["reason"], lease["target_version"]) == ("offboard", 2)
    status = tenant.get(KMS)
    assert status.keys() == {"config", "keys", "draining"}
    assert status["draining"] is True
    assert [key["wrap_method"] for key in status["keys"]] == ["global", "customer_kms"]
    for again in (leave(tenant), tenant.call("POST", f"{KMS}/rotate", headers=tenant.step_up())):
        error = wire.error_of(again, 409, "invalid_state")
        assert error["reason"] == "draining"
        assert error["hint"]
    tenant.create("meanwhile", "under the platform's key")
    assert tenant.value("meanwhile") == "under the platform's key"

    tenant.stack.cloud.enable(customer.key_arn)
    assert tenant.ended_lease(lease_id)["state"] == "completed"
    eventually(lambda: left(tenant), "left", seconds=LEFT_SECONDS)
    wire.error_of(leave(tenant), 404, "no_kms_config")
    tenant.stack.cloud.set_key_state(customer.key_arn, KeyState.GONE)
    assert tenant.values(values) == values
    unmoved = tenant.rows()
    assert {name: unmoved[name] for name in before} == before
    query = (
        "select action from audit.event where tenant_id = %s and action like 'kms.%%' order by seq"
    )
    actions = [row[0] for row in tenant.stack.rows(query, [tenant.id])]
    assert [action for action in actions if "seal" not in action] == [
        "kms.onboarded",
        "kms.offboarded",
        "kms.drained",
    ]


def test_a_status_that_is_not_draining_says_nothing_of_it(tenant: TenantUser) -> None:
    tenant.onboard(tenant.customer())
    assert tenant.get(KMS).keys() == {"config", "keys"}


@pytest.mark.slow
def test_a_replaced_cloud_key_is_not_asked_once_thousands_of_values_have_moved() -> None:
    with running_stack() as stack:
        tenant = stack.tenant()
        old, new = tenant.customer(), tenant.customer()
        tenant.onboard(old)
        values = {f"S{number:05}": f"value {number}" for number in range(MANY)}
        tenant.create_all(values)
        tenant.onboard(new)
        some = dict(list(values.items())[::100])
        while tenant.latest_lease()["state"] != "completed":
            assert tenant.values(some) == some
            name = f"during-{len(values)}"
            tenant.create(name, name)
            values[name] = name
        assert tenant.census() == {1: 0, 2: len(values)}
        stack.cloud.reset_ledger()

        def steady() -> bool:
            assert tenant.values(some) == some
            tenant.put(tenant.rows()["S00000"]["id"], values["S00000"])
            return stack.cloud.count("Decrypt", new.key_arn) >= 4  # so several TTLs have passed

        eventually(steady, "several refreshes", seconds=12 * CUSTOMER_TTL_SECONDS)
        assert calls_to(tenant, old) == 0
        stack.cloud.set_key_state(old.key_arn, KeyState.GONE)
        assert tenant.values(values) == values
        assert calls_to(tenant, old) == 0
