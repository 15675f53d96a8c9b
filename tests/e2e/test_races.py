"""What concurrent clients must not be able to get past."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from tests.fixtures.tenant_user import together

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

LIMIT = 25
"""Of the plan `starter`."""


def outcome(user: TenantUser, name: str, value: str = "value") -> tuple[int, str]:
    """Status and error code of a create."""
    answer = user.call("POST", "/v1/secrets", json={"name": name, "value": value})
    return answer.status_code, answer.json().get("error", {}).get("type", "")


def test_a_create_race_at_the_plan_limit_admits_exactly_the_limit(stack: RunningStack) -> None:
    user = stack.tenant("starter")
    outcomes = Counter(together([partial(outcome, user, f"s{n}") for n in range(60)], at_once=30))
    assert outcomes == {(201, ""): LIMIT, (403, "plan_limit"): 60 - LIMIT}
    rows = user.rows()
    assert len(rows) == LIMIT
    # A place that is given back can be taken again, once.
    victim = next(iter(rows.values()))
    assert user.call("DELETE", f"/v1/secrets/{victim['id']}").status_code == 200
    again = Counter(together([partial(outcome, user, f"t{n}") for n in range(10)], at_once=10))
    assert again == {(201, ""): 1, (403, "plan_limit"): 9}


def test_a_same_name_race_has_one_winner_whose_value_is_kept(tenant: TenantUser) -> None:
    values = [f"value-{n}" for n in range(30)]
    outcomes = together([partial(outcome, tenant, "same", v) for v in values], at_once=30)
    assert Counter(outcomes) == {(201, ""): 1, (409, "conflict"): 29}
    assert tenant.value("same") == values[outcomes.index((201, ""))]


def test_concurrent_new_values_lose_no_version(tenant: TenantUser) -> None:
    made = tenant.create("counter", "value-0")
    puts = [partial(tenant.put, made["id"], f"value-{n}") for n in range(1, 21)]
    versions = [done["value_version"] for done in together(puts, at_once=10)]
    assert sorted(versions) == list(range(2, 22))
    last = versions.index(21) + 1
    assert tenant.value("counter") == f"value-{last}"
    for version, number in zip(versions, range(1, 21), strict=True):
        assert tenant.access(name="counter", value_version=version).value == f"value-{number}"


def test_values_stored_while_keys_rotate_all_open(tenant: TenantUser) -> None:
    """Data keys are taken from a pool, so many were made before the rotation they are stored after."""
    tenant.create("first", "value")
    tenant.onboard(tenant.customer())
    values = {f"s{n}": f"value-{n}" for n in range(300)}
    names = list(values)
    for start in range(0, len(names), 60):
        part = {name: values[name] for name in names[start : start + 60]}
        together([partial(tenant.create_all, part), tenant.rotate], at_once=2)
    assert tenant.values(names) == values
    lease = tenant.ended_lease()
    assert lease["state"] == "completed"
    census = tenant.census()
    newest = max(census)
    assert census == dict.fromkeys(census, 0) | {newest: len(values) + 1}
    assert tenant.values(names) == values
