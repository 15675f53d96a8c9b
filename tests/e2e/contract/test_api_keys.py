"""API keys, their limits and the account, as clients meet them over HTTP."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from cli import tenancy
from services.common.api_keys import SCOPES
from tests.e2e.contract import wire

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

PATH = "/v1/api-keys"
LIMITS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
ROW = {
    "id",
    "key_id",
    "key_prefix",
    "name",
    "scopes",
    "expires_at",
    "created_at",
    "active",
    "key_type",
    "rate_limit_requests",
    "rate_limit_window_sec",
}


def make(tenant: TenantUser, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return tenant.call("POST", PATH, json={"name": "ci"} | body, headers=headers or {})


def by(stack: RunningStack, key: str, path: str = "/v1/account") -> httpx.Response:
    return stack.http.get(path, headers={"x-api-key": key})


def test_a_key_is_shown_once_listed_without_it_and_revoked(
    stack: RunningStack, tenant: TenantUser
) -> None:
    answer = make(tenant, scopes=["secrets:read"], never_expires=True)
    made = answer.json()["data"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"{PATH}/{made['key_id']}")
    assert set(made) == ROW | {"api_key", "message"}
    assert re.fullmatch(r"tk_live_[0-9A-Za-z]{46}", made["api_key"])
    assert (made["scopes"], made["expires_at"]) == (["secrets:read"], None)
    assert by(stack, made["api_key"]).status_code == 200

    listed = tenant.get(PATH)
    assert listed["meta"]["total"] == 2
    assert [row["name"] for row in listed["data"]] == ["ci", "test"]
    assert all(set(row) == ROW | {"last_used_at"} for row in listed["data"])
    assert tenant.get(f"{PATH}/{made['key_id']}")["data"]["id"] == made["id"]

    answer = tenant.call("DELETE", f"{PATH}/{made['key_id']}")
    assert (answer.status_code, answer.json()["data"]) == (200, {"revoked": True})
    wire.error_of(by(stack, made["api_key"]), 401, "unauthenticated")
    wire.error_of(tenant.call("DELETE", f"{PATH}/{made['key_id']}"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["secrets:delete"]}, "scopes"),
        ({"expires_in_days": 1, "never_expires": True}, "never_expires"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"rate_limit_requests": 0}, "rate_limit_requests"),
        ({"role_ids": ["x"]}, "role_ids"),
        ({"name": ""}, "name"),
    ],
)
def test_a_faulty_request_names_its_fault(
    tenant: TenantUser, body: dict[str, Any], field: str
) -> None:
    assert field in wire.error_of(make(tenant, **body), 400, "validation_error")["fields"]


def test_a_key_cannot_raise_its_own_rights(stack: RunningStack, tenant: TenantUser) -> None:
    dsn = stack.stack.admin_dsn
    narrow = tenancy.create_api_key(dsn, tenant.id, "narrow", ["api_keys:manage"])
    headers = {"authorization": f"Bearer {narrow}"}
    wire.error_of(make(tenant, headers, scopes=list(SCOPES)), 403, "insufficient_scope")
    assert make(tenant, headers).json()["data"]["scopes"] == ["api_keys:manage"]
    assert make(tenant, headers, scopes=None).json()["data"]["scopes"] == ["api_keys:manage"]


def test_a_replayed_creation_holds_no_key_and_nothing_keeps_it(
    stack: RunningStack, tenant: TenantUser
) -> None:
    headers = {"idempotency-key": str(uuid.uuid4())}
    first, second = make(tenant, headers), make(tenant, headers)
    token = first.json()["data"].pop("api_key")
    assert (second.status_code, second.headers["idempotent-replayed"]) == (201, "true")
    assert second.json()["data"]["api_key"] is None
    assert second.json()["data"]["key_id"] == first.json()["data"]["key_id"]
    assert "revoke" in second.json()["data"]["message"]
    assert by(stack, token).status_code == 200
    random_part = token[len("tk_live_1234") :]
    for table, rows in stack.dump().items():
        assert not any(random_part in row for row in rows), table
    assert random_part not in stack.logs()


def test_a_limited_key_is_told_when_to_come_back(stack: RunningStack, tenant: TenantUser) -> None:
    made = make(tenant, rate_limit_requests=3, rate_limit_window_sec=3600).json()["data"]
    key = {"x-api-key": made["api_key"]}
    answers = [
        by(stack, made["api_key"]),
        stack.http.post("/v1/secrets", headers=key, json={"nmae": "x"}),
        by(stack, made["api_key"], f"/v1/secrets/{uuid.uuid4()}"),
        by(stack, made["api_key"]),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 404, 429]
    found = [[answer.headers[name] for name in LIMITS] for answer in answers]
    assert [remaining for _, remaining, _ in found] == ["2", "1", "0", "0"]
    assert {limit for limit, _, _ in found} == {"3"}
    error = wire.error_of(answers[-1], 429, "rate_limited")
    assert 1 <= int(answers[-1].headers["retry-after"]) == error["retry_after"] <= 3600
    unlimited = tenant.call("GET", "/v1/account")
    assert not any(name in unlimited.headers for name in LIMITS)

    tenancy.limit_api_key(stack.stack.admin_dsn, tenant.id, made["key_id"], 0)
    assert by(stack, made["api_key"]).status_code == 200


def test_any_key_may_read_the_account_and_its_usage(
    stack: RunningStack, tenant: TenantUser
) -> None:
    key = tenancy.create_api_key(stack.stack.admin_dsn, tenant.id, "reader", ["audit:read"])
    about = by(stack, key).json()["data"]
    assert about.pop("created_at").endswith("Z")
    assert about == {
        "id": tenant.id,
        "slug": tenant.slug,
        "name": tenant.slug,
        "region": "local",
        "subscription_plan": "enterprise",
        "subscription_status": "active",
    }
    tenant.create("ONE", "x")
    usage = by(stack, key, "/v1/account/usage").json()["data"]
    period = usage.pop("billing_period")
    assert set(period) == {"year", "month", "start", "end"}
    assert period["start"] == f"{period['year']}-{period['month']:02}-01T00:00:00.000Z"
    assert period["end"].endswith("T23:59:59.999Z")
    assert usage == {
        "api_calls": {"used": 3, "limit": None, "percentage": 0},
        "resources": {
            "secrets": {"used": 1, "limit": None},
            "environments": {"used": 1, "limit": 500},
            "collections": {"used": 0, "limit": None},
        },
        "plan": "enterprise",
        "status": "active",
    }
