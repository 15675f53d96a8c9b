"""What breaks when the service does the work and its answer is lost on the way back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import httpx

from cli.api import Api
from cli.patience import Patience
from cli.rewraps.calls import PATH
from tests.e2e.life.rewraps import rewraps_held

if TYPE_CHECKING:
    from tests.fixtures.tenant_user import TenantUser

VALUE = "kan4rienvogel"
OFTEN = Patience(3, lambda _: None, lambda _: None)


class Losing(httpx.BaseTransport):
    """The network, on which the first answer to every change is lost after the work was done."""

    def __init__(self) -> None:
        self._network = httpx.HTTPTransport()
        self._seen: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._network.handle_request(request)
        key = request.headers.get("idempotency-key")
        if key is not None and key not in self._seen:
            self._seen.add(key)
            answer.read()
            answer.close()
            raise httpx.ReadError("lost", request=request)
        return answer

    def close(self) -> None:
        self._network.close()


def test_no_change_is_made_twice(tenant: TenantUser) -> None:
    base_url = tenant.stack.stack.credentials.base_url
    with Api(base_url, tenant.api_key, patience=OFTEN, transport=Losing()) as api:
        made = api.post("/v1/secrets", {"name": "X", "value": VALUE})["data"]
        path = f"/v1/secrets/{made['id']}"
        put = api.put(f"{path}/value", {"value": f"{VALUE}-2"}, if_match=1)["data"]
        assert put["value_version"] == 2
        assert api.post(f"{path}/versions/1/restore", if_match=2)["data"]["value_version"] == 3
        assert api.patch(path, {"description": "d"})["data"]["description"] == "d"
        assert api.delete(path)["data"] == {"deleted": True}
        assert api.post(f"{path}/restore")["data"]["value_version"] == 3
        group = api.post("/v1/collections", {"name": "billing"})["data"]
        assert api.delete(f"/v1/collections/{group['id']}")["data"] == {"deleted": True}
        key = api.post("/v1/api-keys", {"name": "ci"})["data"]
        assert key["api_key"] is None
        assert api.delete(f"/v1/api-keys/{key['key_id']}")["data"] == {"revoked": True}
    assert len(tenant.get(f"{path}/versions")["data"]) == 3
    ours = (one.action for one in tenant.stack.audit(tenant.id) if one.actor.startswith("api_key:"))
    assert set(Counter(ours).values()) == {1}


def test_no_rewrap_is_steered_twice(tenant: TenantUser) -> None:
    tenant.create("X", VALUE)
    base_url = tenant.stack.stack.credentials.base_url
    with (
        rewraps_held(tenant),
        Api(base_url, tenant.admin_jwt, patience=OFTEN, transport=Losing()) as api,
    ):
        tenant.onboard(tenant.customer())
        path = f"{PATH}/{tenant.latest_lease()['id']}"
        assert api.post(f"{path}/pause")["state"] == "paused"
        assert api.patch(path, {"throttle_per_second": 5})["throttle_per_second"] == 5
        assert api.post(f"{path}/resume")["state"] == "enqueued"
        assert api.post(f"{path}/cancel")["state"] == "cancelled"
        started = api.post(PATH)
        assert started["reason"] == "manual"
    assert tenant.ended_lease(started["id"])["done"] == 1
    events = (one for one in tenant.stack.audit(tenant.id) if one.actor.startswith("admin:"))
    counted = Counter(one.action for one in events if one.action.startswith("rewrap."))
    assert (len(counted), set(counted.values())) == (5, {1})
