"""What must hold when a key does not pass, and when many connect keys at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from devcloud.aws.model import KeyState
from devcloud.faults import FaultKind
from tests.fixtures.tenant_user import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.aws.seed import Customer
    from devcloud.control import Control
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

PARALLEL = 40


def break_answers(kind: FaultKind, cloud: Control, customer: Customer) -> None:
    cloud.break_answers(kind, customer.key_arn)


FAILURES: dict[str, tuple[str, Callable[[Control, Customer], object]]] = {
    "the role does not trust us": (
        "access_denied",
        lambda cloud, customer: cloud.set_trusted(customer.role_arn, []),
    ),
    "the role asks for another external id": (
        "access_denied",
        lambda cloud, customer: cloud.set_external_id(customer.role_arn, "somebody-else"),
    ),
    "the key may encrypt and not decrypt": (
        "access_denied",
        lambda cloud, customer: cloud.deny(customer.key_arn, ["kms:Decrypt"]),
    ),
    "the key is disabled": (
        "key_disabled",
        lambda cloud, customer: cloud.disable(customer.key_arn),
    ),
    "the key is gone": (
        "key_not_found",
        lambda cloud, customer: cloud.set_key_state(customer.key_arn, KeyState.GONE),
    ),
    "the cloud throttles": (
        "throttled",
        lambda cloud, customer: cloud.throttle(customer.key_arn),
    ),
    "the cloud hangs up": ("unreachable", partial(break_answers, FaultKind.DROP)),
    "the cloud gives back other bytes": (
        "roundtrip_mismatch",
        partial(break_answers, FaultKind.CORRUPT),
    ),
}


def traces(stack: RunningStack, user: TenantUser) -> dict[str, list[str]]:
    """Every row of any table that mentions the tenant, and all of those tables that know no tenant.

    Other tenants' background work may go on meanwhile; so does the queue's own heartbeat.
    """
    ours = {
        row[0]
        for row in stack.rows(
            "select format('%I.%I', table_schema, table_name) from information_schema.columns"
            " where column_name = 'tenant_id'"
        )
    }
    return {
        name: sorted(
            row
            for row in rows
            if user.id in row or (name not in ours and "procrastinate" not in name)
        )
        for name, rows in stack.dump().items()
    }


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_probe_leaves_no_trace_and_the_old_binding_in_force(
    stack: RunningStack, tenant: TenantUser, failure: str
) -> None:
    reason, spoil = FAILURES[failure]
    first, second = tenant.customer(), tenant.customer()
    tenant.create("secret", "value")
    tenant.onboard(first)
    tenant.ended_lease()
    status = tenant.get("/admin/tenant-kms")
    spoil(stack.cloud, second)
    before = traces(stack, tenant)
    try:
        answer = tenant.call("POST", "/admin/tenant-kms", json=tenant.onboarding(second))
    finally:
        stack.cloud.clear_faults(second.key_arn)
    after = traces(stack, tenant)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["reason"]) == (
        400,
        "kms_verify_failed",
        reason,
    )
    assert error["provider"] == "aws"
    assert error["hint"]
    # Nothing but the steady proof that the first key still works may have come meanwhile.
    steady = "kms.binding"
    assert {k: v for k, v in after.items() if k != steady} == {
        k: v for k, v in before.items() if k != steady
    }
    assert len(after[steady]) == len(before[steady])
    assert not any(second.key_arn in row for rows in after.values() for row in rows)
    now = tenant.get("/admin/tenant-kms")
    assert now["keys"] == status["keys"]
    assert now["config"]["kms_key_ref"] == first.key_arn
    assert now["config"]["sealed_since"] is None
    assert tenant.value("secret") == "value"
    tenant.create("another", "value")
    assert tenant.value("another") == "value"


def test_a_failed_first_probe_leaves_the_tenant_without_any_trace_at_all(
    stack: RunningStack, tenant: TenantUser
) -> None:
    customer = tenant.customer()
    stack.cloud.disable(customer.key_arn)
    before = traces(stack, tenant)
    answer = tenant.call("POST", "/admin/tenant-kms", json=tenant.onboarding(customer))
    assert answer.json()["error"]["reason"] == "key_disabled"
    assert traces(stack, tenant) == before
    assert tenant.call("GET", "/admin/tenant-kms").status_code == 404
    assert tenant.get("/admin/tenant-kms/rewraps")["rewraps"] == []


def test_40_parallel_onboardings_lose_no_version_and_leave_one_active(
    stack: RunningStack, tenant: TenantUser
) -> None:
    tenant.create("secret", "value")
    customers = [tenant.customer() for _ in range(4)]
    calls = [partial(tenant.onboard, customers[n % 4]) for n in range(PARALLEL)]
    replies = together(calls, at_once=PARALLEL)
    versions = sorted(reply["new_key_version"] for reply in replies)
    assert versions == list(range(2, PARALLEL + 2))
    assert len({reply["new_key_id"] for reply in replies}) == PARALLEL
    keys = tenant.keys()
    assert sorted(keys) == list(range(1, PARALLEL + 2))
    active = [version for version, key in keys.items() if key["status"] == "active"]
    assert active == [PARALLEL + 1]
    last = next(reply for reply in replies if reply["new_key_version"] == PARALLEL + 1)
    assert tenant.get("/admin/tenant-kms")["config"]["kms_key_ref"] == last["kms_key_ref"]
    assert tenant.ended_lease()["state"] == "completed"
    states = stack.rows(
        "select state, count(*) from rewrap.lease where tenant_id = %s group by 1", (tenant.id,)
    )
    assert sum(count for _, count in states) == PARALLEL
    assert {state for state, _ in states} <= {"completed", "superseded"}
    census: dict[int, Any] = tenant.census()
    assert {version for version, count in census.items() if count} == {PARALLEL + 1}
    assert tenant.value("secret") == "value"
