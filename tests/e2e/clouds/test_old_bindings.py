"""A tenant that moved to another cloud while the old one is out of reach: what is lost, and what not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cli.local.devcloud import ready_file
from devcloud.customers import CloudCustomer, Clouds
from services.common.errors import CofferError
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

VALUES = {f"S{number}": f"value {number}" for number in range(4)}
SEALED_SECONDS = 20.0
QUICK_SECONDS = 5.0
"""Generous for what waits for nothing: whoever waits for the old cloud is still refused by then."""


@pytest.fixture
def clouds(stack: RunningStack) -> Iterator[Clouds]:
    with Clouds.from_ready_file(ready_file(stack.stack.directory).path) as running:
        yield running


def connect(user: TenantUser, customer: CloudCustomer) -> int:
    """The new version's number."""
    answer = user.call("POST", "/admin/tenant-kms", json=customer.body)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["new_key_version"])


def refusal(user: TenantUser, name: str) -> CofferError | None:
    """What reading is refused with; None when it gives the value."""
    try:
        user.value(name)
    except CofferError as error:
        return error
    return None


def is_sealed(user: TenantUser, name: str) -> bool:
    error = refusal(user, name)
    if error is not None and (error.code, error.http_status) != ("tenant_sealed", 503):
        raise error
    return error is not None


def waits(user: TenantUser, lease_id: int) -> bool:
    lease = user.lease(lease_id)
    return lease["state"] == "waiting" and bool(lease["last_error"])


@pytest.mark.parametrize(
    ("old", "new", "lose", "find"),
    [
        pytest.param(
            *("gcp", "azure", CloudCustomer.hang, CloudCustomer.heal),
            id="hanging",
            marks=pytest.mark.slow,
        ),
        pytest.param(*("azure", "aws", CloudCustomer.disable, CloudCustomer.enable), id="refused"),
    ],
)
def test_only_what_hangs_on_the_old_cloud_is_lost_with_it_and_moves_when_it_is_back(
    stack: RunningStack,
    tenant: TenantUser,
    clouds: Clouds,
    old: str,
    new: str,
    lose: Callable[[CloudCustomer], None],
    find: Callable[[CloudCustomer], None],
) -> None:
    neighbour = stack.tenant()
    connect(neighbour, clouds.customer(old, neighbour.id))
    neighbour.create("THEIRS", "unharmed")
    left = clouds.customer(old, tenant.id)
    connect(tenant, left)
    rows = tenant.create_all(VALUES)
    lose(left)
    try:
        eventually(lambda: is_sealed(tenant, "S0"), "reading is refused", seconds=SEALED_SECONDS)
        assert connect(tenant, clouds.customer(new, tenant.id)) == 2
        lease = tenant.latest_lease()
        eventually(lambda: waits(tenant, lease["id"]), "the rewrap waits", seconds=SEALED_SECONDS)

        began = time.monotonic()
        tenant.create("new", "value")
        assert tenant.value("new") == "value"
        tenant.put(rows["S1"]["id"], "moved")
        assert tenant.value("S1") == "moved"
        assert tenant.access(name="new").value == "value"
        assert is_sealed(tenant, "S0")
        assert tenant.rows().keys() == {*VALUES, "new"}
        assert neighbour.value("THEIRS") == "unharmed"
        neighbour.create("MORE", "unharmed")
        assert time.monotonic() - began < QUICK_SECONDS
        assert tenant.get("/admin/tenant-kms")["config"]["sealed_since"] is None
    finally:
        find(left)
    ended = tenant.ended_lease(lease["id"], seconds=90)
    assert (ended["state"], ended["failed"]) == ("completed", 0)
    assert tenant.census()[1] == 0
    left.disable()  # nothing needs it any more
    assert tenant.values(VALUES) == VALUES | {"S1": "moved"}
    assert neighbour.value("THEIRS") == "unharmed"
