"""What a tenant does in a day, once each: the calls whose statements are many a second somewhere."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from tests.e2e.crash.throttle import throttled
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

SECRETS: Final = 12
REWRAPS: Final = "/admin/tenant-kms/rewraps"
_LONG_AGO = (
    "update secrets.secret set deleted_at = deleted_at - interval '8 days'"
    " where tenant_id = %(tenant)s and deleted_at is not null"
)


def a_day(stack: RunningStack, tenant: TenantUser) -> None:
    """All of it, for a tenant that has nothing yet."""
    tenant.onboard(tenant.customer())
    _values(tenant)
    _other_calls(tenant)
    _rewraps(stack, tenant)
    _forgetting(stack, tenant)


def _values(tenant: TenantUser) -> None:
    rows = tenant.create_all({f"S{n}": f"value {n}" for n in range(SECRETS)})
    first = rows["S0"]["id"]
    once = {"idempotency-key": str(uuid.uuid4())}
    for _ in range(2):
        body = {"name": "ONCE", "value": "x"}
        answer = tenant.call("POST", "/v1/secrets", json=body, headers=once)
        assert answer.status_code == 201, answer.text
    tenant.put(first, "another")
    assert tenant.values(rows)["S0"] == "another"
    assert tenant.access(secret_id=first, value_version=1).value == "value 0"
    tenant.get(f"/v1/secrets/{first}")
    tenant.get(f"/v1/secrets/{first}/versions")
    changes: tuple[tuple[str, str, object], ...] = (
        ("POST", f"/v1/secrets/{first}/versions/1/restore", None),
        ("PATCH", f"/v1/secrets/{first}", {"description": "seen"}),
        ("DELETE", f"/v1/secrets/{first}", None),
        ("POST", f"/v1/secrets/{first}/restore", None),
    )
    for method, path, change in changes:
        _call(tenant, method, path, change)


def _other_calls(tenant: TenantUser) -> None:
    tenant.get("/v1/secrets", sort="created_at", order="desc")
    for path in ("/v1/secrets", "/v1/environments", "/v1/collections", "/v1/api-keys"):
        tenant.get(path)
    for path in ("/v1/account", "/v1/account/usage", "/v1/audit-logs", "/v1/audit-logs/events"):
        tenant.get(path)
    tenant.get("/admin/tenant-kms")


def _rewraps(stack: RunningStack, tenant: TenantUser) -> None:
    """A rotation that is steered, its report, one that is cancelled and made good; the old key's erasure."""
    tenant.ended_lease()
    steered = _slow_rotation(stack, tenant)
    for action in ("pause", "resume"):
        _call(tenant, "POST", f"{REWRAPS}/{steered}/{action}")
    _call(tenant, "PATCH", f"{REWRAPS}/{steered}", {"throttle_per_second": 100_000})
    assert tenant.ended_lease(steered)["state"] == "completed"
    tenant.get(f"{REWRAPS}/{steered}/report")
    _call(tenant, "POST", f"{REWRAPS}/{_slow_rotation(stack, tenant)}/cancel")
    _call(tenant, "POST", REWRAPS)
    assert tenant.ended_lease()["state"] == "completed"
    old = min(tenant.keys())
    answer = tenant.stepped_up(
        "POST", f"/admin/tenant-kms/keys/{old}/revoke", json={"confirm": tenant.slug}
    )
    assert answer.status_code == 200, answer.text


def _slow_rotation(stack: RunningStack, tenant: TenantUser) -> int:
    with throttled(stack, 1):
        return int(tenant.rotate()["rewrap_lease_id"])


def _call(tenant: TenantUser, method: str, path: str, body: object = None) -> None:
    answer = tenant.call(method, path, json=body)
    assert answer.is_success, answer.text


def _forgetting(stack: RunningStack, tenant: TenantUser) -> None:
    """A secret is deleted, and a week later removed for ever."""
    gone = tenant.create("GONE", "x")["id"]
    assert tenant.call("DELETE", f"/v1/secrets/{gone}").is_success
    stack.execute(_LONG_AGO, tenant=tenant.id)
    eventually(
        lambda: not stack.rows("select 1 from secrets.secret where id = %s", (gone,)),
        "the secret is removed for ever",
    )
