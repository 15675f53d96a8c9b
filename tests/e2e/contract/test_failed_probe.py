"""What breaks when a key that could not be proven leaves something behind, or takes the old one away."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from devcloud.aws.model import KeyState, KeyUsage
from devcloud.faults import FaultKind
from tests.e2e.contract import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.aws.seed import Customer
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser


@dataclass(frozen=True, slots=True)
class Fault:
    """How the customer's side is spoilt, and what the administrator has to be told."""

    name: str
    spoil: Callable[[TenantUser, Customer, dict[str, Any]], None]
    reason: str
    hints: tuple[str, ...]
    """Each is in the hint; `{key}`, `{role}`, `{external_id}` and so on stand for the customer's."""


def cloud(tenant: TenantUser) -> Any:
    return tenant.stack.cloud


def unknown_key(tenant: TenantUser, customer: Customer, body: dict[str, Any]) -> None:
    body["kms_key_ref"] = f"{customer.key_arn.rpartition('/')[0]}/{uuid.uuid4()}"


def unknown_alias(tenant: TenantUser, customer: Customer, body: dict[str, Any]) -> None:
    body["kms_key_ref"] = f"{customer.alias_arn}-mistyped"


def unknown_role(tenant: TenantUser, customer: Customer, body: dict[str, Any]) -> None:
    body["config"]["role_arn"] += "-mistyped"


def other_external_id(tenant: TenantUser, customer: Customer, body: dict[str, Any]) -> None:
    body["config"]["external_id"] = "not-what-the-role-asks-for"


def trust_taken_away(tenant: TenantUser, customer: Customer, body: dict[str, Any]) -> None:
    cloud(tenant).set_trusted(customer.role_arn, [])


def no_permission(tenant: TenantUser, customer: Customer, body: dict[str, Any]) -> None:
    cloud(tenant).set_role_actions(customer.role_arn, ["kms:DescribeKey"])


def mac_key(tenant: TenantUser, customer: Customer, body: dict[str, Any]) -> None:
    made = cloud(tenant).create_key(
        account=customer.account,
        region=customer.region,
        spec="HMAC_256",
        usage=KeyUsage.GENERATE_VERIFY_MAC,
    )
    body["kms_key_ref"] = made.arn


def denied(*actions: str) -> Callable[[TenantUser, Customer, dict[str, Any]], None]:
    return lambda tenant, customer, body: cloud(tenant).deny(customer.key_arn, actions)


def in_state(state: KeyState) -> Callable[[TenantUser, Customer, dict[str, Any]], None]:
    return lambda tenant, customer, body: cloud(tenant).set_key_state(customer.key_arn, state)


def answering(kind: FaultKind) -> Callable[[TenantUser, Customer, dict[str, Any]], None]:
    return lambda tenant, customer, body: cloud(tenant).break_answers(kind, customer.key_arn)


TRUST = ("{role}", "sts:AssumeRole", "sts:ExternalId", "{sent_external_id}")
RETRY = ("Nothing was changed", "retry is safe")
FAULTS = [
    Fault("disabled", in_state(KeyState.DISABLED), "key_disabled", ("{key}", "disabled")),
    Fault(
        "pending deletion",
        in_state(KeyState.PENDING_DELETION),
        "key_disabled",
        ("{key}", "pending deletion"),
    ),
    Fault("denied", denied("kms:*"), "access_denied", ("{key}", "kms:Encrypt", "{role}")),
    Fault(
        "unwrap denied", denied("kms:Decrypt"), "access_denied", ("{key}", "kms:Decrypt", "{role}")
    ),
    Fault("role may not", no_permission, "access_denied", ("{key}", "kms:Encrypt", "{role}")),
    Fault("wrong external id", other_external_id, "access_denied", TRUST),
    Fault("trust taken away", trust_taken_away, "access_denied", TRUST),
    Fault("unknown role", unknown_role, "access_denied", ("{sent_role}", "must exist")),
    Fault("unknown key", unknown_key, "key_not_found", ("{sent_key}", "{region}")),
    Fault("unknown alias", unknown_alias, "key_not_found", ("{sent_key}", "{region}")),
    Fault("MAC key", mac_key, "key_unsuitable", ("{sent_key}", "symmetric", "ENCRYPT_DECRYPT")),
    Fault("throttled", answering(FaultKind.THROTTLE), "throttled", RETRY),
    Fault("no answer", answering(FaultKind.DROP), "unreachable", RETRY),
    Fault("other bytes", answering(FaultKind.CORRUPT), "roundtrip_mismatch", ("must not be used",)),
]
EACH = pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])


def settled(stack: RunningStack) -> dict[str, list[str]]:
    """Every row, once no background work that earlier tests left under way is changing any."""
    found = stack.settled()
    assert found.keys() >= {"kms.binding", "kms.master_key", "rewrap.lease", "audit.event"}
    return found


def changes(stack: RunningStack, before: dict[str, list[str]]) -> dict[str, set[str]]:
    """The rows that differ, except other tenants': a sealed one's row says each retry."""
    after = settled(stack)
    assert after.keys() == before.keys()
    return {name: set(after[name]) ^ set(before[name]) for name in after}


def without(found: dict[str, set[str]], others: set[str]) -> dict[str, set[str]]:
    kept = {
        name: {row for row in rows if not any(other in row for other in others)}
        for name, rows in found.items()
    }
    return {name: rows for name, rows in kept.items() if rows}


def assert_no_trace(tenant: TenantUser, before: dict[str, list[str]]) -> None:
    """No row of any table came, went or changed."""
    tenants = {str(row[0]) for row in tenant.stack.rows("select tenant_id from tenancy.tenant")}
    assert without(changes(tenant.stack, before), tenants - {tenant.id}) == {}


def test_a_trace_would_be_seen(tenant: TenantUser) -> None:
    before = settled(tenant.stack)
    made = tenant.create("seen", "a trace")
    with pytest.raises(AssertionError):
        assert_no_trace(tenant, before)
    found = changes(tenant.stack, before)
    assert any(made["id"] in row for row in found["secrets.secret"])
    assert any(tenant.id in row for row in found["audit.event"])


def test_a_late_count_of_calls_is_no_trace(tenant: TenantUser) -> None:
    tenant.create("counted", "later")
    before = settled(tenant.stack)
    tenant.stack.execute(
        "update tenancy.api_key set last_used_at = now() + interval '1 minute' where tenant_id = %(id)s",
        "insert into tenancy.api_usage as u values (%(id)s, date_trunc('month', now()), 1)"
        " on conflict (tenant_id, month) do update set calls = u.calls + 1",
        id=tenant.id,
    )
    assert_no_trace(tenant, before)


def spoilt(tenant: TenantUser, fault: Fault) -> tuple[dict[str, Any], list[str]]:
    """The body of an onboarding that must fail, and what its hint has to say."""
    customer = tenant.customer()
    body = tenant.onboarding(customer)
    fault.spoil(tenant, customer, body)
    words = {
        "key": customer.key_arn,
        "role": customer.role_arn,
        "region": customer.region,
        "sent_key": body["kms_key_ref"],
        "sent_role": body["config"]["role_arn"],
        "sent_external_id": body["config"]["external_id"],
    }
    return body, [hint.format(**words) for hint in fault.hints]


def assert_refused(answer: Any, fault: Fault, hints: list[str]) -> None:
    error = wire.error_of(answer, 400, "kms_verify_failed")
    assert (error["provider"], error["reason"]) == ("aws", fault.reason), error
    assert [hint for hint in hints if hint not in error["hint"]] == [], error


@EACH
def test_a_failed_probe_leaves_no_trace_and_the_old_binding_in_force(
    tenant: TenantUser, fault: Fault
) -> None:
    tenant.onboard(tenant.customer())
    made = tenant.create("kept", "readable all the time")
    tenant.ended_lease()
    shown = tenant.get("/admin/tenant-kms")
    body, hints = spoilt(tenant, fault)
    before = settled(tenant.stack)

    assert_refused(tenant.call("POST", "/admin/tenant-kms", json=body), fault, hints)
    assert_refused(tenant.call("POST", "/admin/tenant-kms/verify", json=body), fault, hints)

    assert_no_trace(tenant, before)
    assert tenant.get("/admin/tenant-kms") == shown
    # The old key is in force for both ways.
    assert tenant.value("kept") == "readable all the time"
    assert tenant.put(made["id"], "and writable")["value_version"] == 2
    assert tenant.value("kept") == "and writable"


def test_a_failed_first_probe_leaves_a_tenant_without_a_binding(tenant: TenantUser) -> None:
    fault = FAULTS[0]
    body, hints = spoilt(tenant, fault)
    before = settled(tenant.stack)
    assert_refused(tenant.call("POST", "/admin/tenant-kms", json=body), fault, hints)
    assert_no_trace(tenant, before)
    wire.error_of(tenant.call("GET", "/admin/tenant-kms"), 404, "no_kms_config")
    tenant.create("still", "works")
    assert tenant.value("still") == "works"


def test_a_key_that_was_mended_is_accepted_at_once(tenant: TenantUser) -> None:
    customer = tenant.customer()
    tenant.stack.cloud.disable(customer.key_arn)
    body = tenant.onboarding(customer)
    refused = tenant.call("POST", "/admin/tenant-kms", json=body)
    wire.error_of(refused, 400, "kms_verify_failed")
    tenant.stack.cloud.enable(customer.key_arn)
    # No version number was lost to the failure.
    assert tenant.onboard(customer)["new_key_version"] == 1
