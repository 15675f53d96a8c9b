"""What breaks when many clients do the same thing at the same moment."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.e2e.contract import wire
from tests.e2e.contract.certificates import FRESH, self_signed
from tests.fixtures.tenant_user import together

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

ONBOARDINGS = 40
STARTER_SECRETS = 25
ONE_ACTIVE = (
    "select version, status, retired_at is null from kms.master_key where tenant_id = %s"
    " order by version"
)
LEASES = (
    "select target_version, state from rewrap.lease where tenant_id = %s order by target_version"
)


def at_once(calls: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """All of them under way together."""
    answers: list[httpx.Response] = together(calls, at_once=len(calls))
    return answers


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def create(tenant: TenantUser, name: str, **more: Any) -> Callable[[], httpx.Response]:
    body = {"name": name, "value": "value", **more}
    return partial(tenant.call, "POST", "/v1/secrets", json=body)


def test_forty_onboardings_at_once_make_forty_versions_one_of_them_active(
    tenant: TenantUser,
) -> None:
    customer = tenant.customer()
    tenant.create("kept", "through all of it")
    body = tenant.onboarding(customer)
    onboard = partial(tenant.call, "POST", "/admin/tenant-kms", json=body)

    answers = at_once([onboard] * ONBOARDINGS)

    assert statuses(answers) == {200: ONBOARDINGS}, [answer.text for answer in answers]
    versions = sorted(answer.json()["new_key_version"] for answer in answers)
    first, last = 2, ONBOARDINGS + 1
    assert versions == list(range(first, last + 1))
    assert len({answer.json()["new_key_id"] for answer in answers}) == ONBOARDINGS
    stored = tenant.stack.rows(ONE_ACTIVE, [tenant.id])
    retired = [(version, "retired", False) for version in range(1, last)]
    assert stored == [*retired, (last, "active", True)]
    # One lease each, and the last of them does the work of all.
    assert tenant.ended_lease()["state"] == "completed"
    leases = tenant.stack.rows(LEASES, [tenant.id])
    assert [target for target, _ in leases] == versions
    assert leases[-1] == (last, "completed")
    assert {state for _, state in leases[:-1]} <= {"superseded", "completed"}
    assert tenant.census() == dict.fromkeys(range(1, last), 0) | {last: 1}
    assert tenant.value("kept") == "through all of it"


def test_rotations_and_onboardings_at_once_lose_no_version(tenant: TenantUser) -> None:
    customer = tenant.customer()
    tenant.onboard(customer)
    body = tenant.onboarding(customer)
    onboard = partial(tenant.call, "POST", "/admin/tenant-kms", json=body)
    rotations = [
        partial(tenant.call, "POST", "/admin/tenant-kms/rotate", headers=tenant.step_up())
        for _ in range(6)
    ]
    answers = at_once([*rotations, *[onboard] * 6])
    assert statuses(answers) == {200: 12}, [answer.text for answer in answers]
    told = [answer.json() for answer in answers]
    versions = sorted(one.get("new_version") or one["new_key_version"] for one in told)
    assert versions == list(range(2, 14))
    assert [key["status"] for key in tenant.keys().values()].count("active") == 1


def test_a_step_up_token_works_once_also_in_a_race(tenant: TenantUser) -> None:
    tenant.onboard(tenant.customer())
    rotate = partial(tenant.call, "POST", "/admin/tenant-kms/rotate", headers=tenant.step_up())
    answers = at_once([rotate] * 8)
    assert statuses(answers) == {200: 1, 403: 7}, [answer.text for answer in answers]
    for answer in answers:
        if answer.status_code == 403:
            assert wire.error_of(answer, 403, "step_up_required")["reason"] == "used"
    assert max(tenant.keys()) == 2


def test_a_race_at_the_plans_limit_admits_exactly_the_limit(stack: RunningStack) -> None:
    tenant = stack.tenant("starter")
    before = STARTER_SECRETS - 5
    tenant.create_all({f"early-{n}": "value" for n in range(before)})

    answers = at_once([create(tenant, f"late-{n}") for n in range(40)])

    assert statuses(answers) == {201: 5, 403: 35}, [answer.text for answer in answers]
    for answer in answers:
        if answer.status_code == 403:
            wire.error_of(answer, 403, "plan_limit")
    assert tenant.get("/v1/secrets")["meta"]["total"] == STARTER_SECRETS
    # A deleted secret makes room for exactly one.
    gone = tenant.rows()["early-0"]["id"]
    assert tenant.call("DELETE", f"/v1/secrets/{gone}").status_code == 200
    assert statuses(at_once([create(tenant, f"more-{n}") for n in range(8)])) == {201: 1, 403: 7}


def test_one_name_wanted_by_many_is_given_once(tenant: TenantUser) -> None:
    pem = self_signed(FRESH).pem
    # The names are the same once they are in the form in which they are stored.
    names = ["the name", "the_name", " the  name ", "the_name "] * 4
    strings = [create(tenant, name) for name in names]
    certificates = [
        partial(tenant.call, "POST", path, json={"name": "the_name", "certificate_content": pem})
        for path in ["/v1/secrets/certificate"] * 8
    ]
    answers = at_once([*strings, *certificates])
    assert statuses(answers) == {201: 1, 409: len(answers) - 1}
    for answer in answers:
        if answer.status_code == 409:
            wire.error_of(answer, 409, "conflict")
    assert list(tenant.rows()) == ["the_name"]
    versions = "select count(*) from secrets.data_key where tenant_id = %s"
    assert tenant.stack.rows(versions, [tenant.id]) == [(1,)]


def test_values_set_at_once_get_a_version_each(tenant: TenantUser) -> None:
    made = tenant.create("contended", "0")
    put = [partial(tenant.put, made["id"], f"value {n}") for n in range(12)]
    told = together(put, at_once=len(put))
    assert sorted(one["value_version"] for one in told) == list(range(2, 14))
    last = next(n for n, one in enumerate(told) if one["value_version"] == 13)
    assert tenant.value("contended") == f"value {last}"
