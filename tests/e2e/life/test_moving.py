"""What breaks when a tenant moves from cloud to cloud before everything it stored has followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.customers import PROVIDERS
from services.common.errors import CofferError
from tests.e2e.crash.throttle import throttled
from tests.fixtures.eventually import eventually
from tests.fixtures.tenant_user import together

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

pytestmark = pytest.mark.slow

COUNT, PER_SECOND = 24, 3
"""Stored in each cloud, and moved on: on any machine most is where it was while the test looks."""
KMS = "/admin/tenant-kms"


def stored_in(provider: str) -> dict[str, str]:
    return {f"{provider}-{number}": f"{provider} {number}" for number in range(COUNT)}


def refused(tenant: TenantUser, names: list[str]) -> set[str]:
    """Of these, what is refused because the tenant is sealed."""

    def ask(name: str) -> str | None:
        try:
            assert tenant.value(name) == name.replace("-", " ")
        except CofferError as error:
            if error.code != "tenant_sealed":
                raise
            return name
        return None

    answers = together([lambda name=name: ask(name) for name in names])  # type: ignore[misc]
    return {name for name in answers if name is not None}


def let_go(tenant: TenantUser) -> None:
    """As fast as it can from now on."""
    tenant.stack.execute(
        "update rewrap.lease set throttle_per_second = null where tenant_id = %(tenant)s"
        " and throttle_per_second is not null",
        tenant=tenant.id,
    )


def test_what_was_stored_in_three_clouds_opens_through_the_key_of_each_until_it_has_moved(
    stack: RunningStack, tenant: TenantUser
) -> None:
    owners = {provider: tenant.customer_in(provider) for provider in PROVIDERS}
    former = [owners["aws"], owners["gcp"]]
    values: dict[str, str] = {}
    with throttled(stack, PER_SECOND):
        for version, owner in enumerate(owners.values(), 1):
            before = [one.calls() for one in former]
            assert owner.onboard()["new_key_version"] == version
            more = stored_in(owner.provider)
            tenant.create_all(more)
            values |= more
    rows = tenant.rows()
    assert tenant.values(values) == values
    # The third onboarding made every process forget what was open: the former keys were asked again.
    assert all(owner.calls() > calls for owner, calls in zip(former, before, strict=True))
    census = tenant.census()
    assert sum(census.values()) == len(values)
    assert all(census.values()), "the test looked too late"
    assert tenant.get(KMS)["config"]["provider"] == "customer_kms_azure"

    # One former key is out of reach: only what still hangs on it is refused.
    owners["gcp"].disable()
    in_gcp = list(stored_in("gcp"))
    found = eventually(lambda: refused(tenant, in_gcp) or None, "refused", seconds=30)
    assert found <= set(in_gcp)
    assert not refused(tenant, [name for name in values if name not in in_gcp])
    assert tenant.get(KMS)["config"]["sealed_since"] is None
    owners["gcp"].enable()
    eventually(lambda: not refused(tenant, in_gcp), "all opens again", seconds=30)

    let_go(tenant)
    lease = tenant.ended_lease()
    assert (lease["state"], lease["target_version"], lease["failed"]) == ("completed", 3, 0)
    assert tenant.census() == {1: 0, 2: 0, 3: len(values)}
    for owner in former:
        owner.lose()
    assert tenant.values(values) == values
    before = [owner.calls() for owner in former]
    present = owners["azure"].calls()
    # Once the present key was asked again, nothing that was open under a former one is so still.
    eventually(
        lambda: tenant.values(values) == values and owners["azure"].calls() > present,
        "the present key is asked again",
    )
    assert [owner.calls() for owner in former] == before
    assert tenant.rows() == rows
