"""The customer's kill switch: what stops, how soon, what goes on, and that all comes back by itself."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from services.common.errors import CofferError
from tests.e2e.crash.throttle import throttled
from tests.fixtures.eventually import eventually
from tests.fixtures.stack import CUSTOMER_TTL_SECONDS

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

COUNT, PER_SECOND = 120, 30
"""The rewrap takes longer than the TTL, so that the sealing meets it."""
SEALED_SECONDS = CUSTOMER_TTL_SECONDS + 15
RECOVERED_SECONDS = 30.0


class Reader:
    """Reads one value again and again and knows when that last worked."""

    def __init__(self, tenant: TenantUser, name: str, value: str) -> None:
        self.tenant, self.name, self.value = tenant, name, value
        self.last_success_began = time.monotonic()

    def refused(self) -> bool:
        """Whether the value is refused because the tenant is sealed; any other refusal is raised."""
        began = time.monotonic()
        try:
            assert self.tenant.value(self.name) == self.value
        except CofferError as error:
            if error.code != "tenant_sealed" or not error.retry_after:
                raise
            return True
        self.last_success_began = began
        return False

    def served(self) -> bool:
        return not self.refused()


def test_a_disabled_key_stops_its_tenant_alone_and_enabling_it_brings_all_back(
    stack: RunningStack, tenant: TenantUser
) -> None:
    values = {f"S{number:03}": f"value {number}" for number in range(COUNT)}
    customer = tenant.customer()
    tenant.onboard(customer)
    tenant.create_all(values)
    neighbour = stack.tenant()
    neighbour.onboard(neighbour.customer())
    neighbour.create("THEIRS", "unharmed")
    assert tenant.ended_lease()["state"] == "completed"
    before = tenant.rows()
    with throttled(stack, PER_SECOND):
        rotated = tenant.rotate()

    stack.cloud.disable(customer.key_arn)
    disabled = time.monotonic()
    reader = Reader(tenant, "S000", values["S000"])

    def sealed() -> bool:
        assert neighbour.value("THEIRS") == "unharmed"
        return reader.refused()

    eventually(sealed, "reading is refused", seconds=SEALED_SECONDS)
    assert reader.last_success_began - disabled < CUSTOMER_TTL_SECONDS

    assert tenant.rows() == before
    assert tenant.get(f"/v1/secrets/{before['S001']['id']}")["data"]["name"] == "S001"
    config = tenant.get("/admin/tenant-kms")["config"]
    assert config["sealed_since"].endswith("Z")
    assert config["last_verify_error"] == "key_disabled"
    lease_id = rotated["rewrap_lease_id"]
    waiting = partial(lease_in, tenant, lease_id, "waiting")
    eventually(waiting, "the rewrap waits", seconds=RECOVERED_SECONDS)
    hold_writes_refused(tenant)
    neighbour.create("THEIRS_TOO", "unharmed")
    assert neighbour.get("/admin/tenant-kms")["config"]["sealed_since"] is None

    stack.cloud.enable(customer.key_arn)
    eventually(reader.served, "reading works again", seconds=RECOVERED_SECONDS)
    config = tenant.get("/admin/tenant-kms")["config"]
    assert (config["sealed_since"], config["last_verify_error"]) == (None, None)
    lease = tenant.ended_lease(lease_id, seconds=RECOVERED_SECONDS)
    assert (lease["state"], lease["done"], lease["failed"]) == ("completed", COUNT, 0)
    assert tenant.values(values) == values
    assert tenant.rows() == before


def lease_in(tenant: TenantUser, lease_id: int, state: str) -> bool:
    return bool(tenant.lease(lease_id)["state"] == state)


def hold_writes_refused(tenant: TenantUser) -> None:
    """What needs the key is told so over HTTP, each in its own way, and changes nothing."""
    created = tenant.call("POST", "/v1/secrets", json={"name": "LATER", "value": "v"})
    assert created.status_code == 503
    assert created.json()["error"]["type"] == "tenant_sealed"
    assert int(created.headers["retry-after"]) >= 1
    versions = set(tenant.keys())
    rotated = tenant.call("POST", "/admin/tenant-kms/rotate", headers=tenant.step_up())
    assert (rotated.status_code, rotated.json()["error"]["type"]) == (409, "tenant_sealed")
    assert set(tenant.keys()) == versions
    assert "LATER" not in tenant.rows()
