"""What breaks when a value's history does not answer as documented, or does its work twice."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.e2e.contract import wire

if TYPE_CHECKING:
    from tests.fixtures.tenant_user import TenantUser


def test_a_value_is_put_listed_restored_and_removed_per_environment(tenant: TenantUser) -> None:
    made = tenant.create("DB", "base")
    path = f"/v1/secrets/{made['id']}"
    staging = {"name": "staging"}
    assert tenant.call("POST", "/v1/environments", json=staging).status_code == 201
    for number, value in ((1, "first"), (2, "second")):
        put = tenant.call("PUT", f"{path}/value", json={"value": value, "environment": "staging"})
        assert wire.data_of(put)["value_version"] == number
        assert put.headers["etag"] == f'"{number}"'

    restored = tenant.call(
        "POST",
        f"{path}/versions/1/restore",
        json={"environment": "staging"},
        headers={"if-match": '"2"', "idempotency-key": str(uuid.uuid4())},
    )
    told = {"id": made["id"], "name": "DB", "environment": "staging", "value_version": 3}
    wire.assert_form(told, wire.data_of(restored))
    assert restored.headers["etag"] == '"3"'

    answer = tenant.get(f"{path}/versions", environment="staging", per_page=2)
    row = {
        "value_version": 3,
        "environment": "staging",
        "is_current": True,
        "created_at": wire.TIME,
    }
    wire.assert_form([row, row | {"value_version": 2, "is_current": False}], answer["data"])
    page = {"request_id": wire.UUID, "total": 3, "page": 1, "per_page": 2, "total_pages": 2}
    wire.assert_form(page, answer["meta"])

    removed = tenant.call("DELETE", f"{path}/environments/staging")
    wire.assert_form({"deleted": True}, wire.data_of(removed))
    wire.error_of(tenant.call("DELETE", f"{path}/environments/staging"), 404, "not_found")
    wire.error_of(tenant.call("DELETE", f"{path}/environments/production"), 409, "conflict")
    assert tenant.get(path)["data"]["environment_count"] == 1
    again = tenant.call("PUT", f"{path}/value", json={"value": "x", "environment": "staging"})
    assert wire.data_of(again)["value_version"] == 4


def test_a_repeated_restore_and_removal_do_their_work_once(tenant: TenantUser) -> None:
    made = tenant.create("DB", "first")
    path = f"/v1/secrets/{made['id']}"
    assert tenant.call("POST", "/v1/environments", json={"name": "staging"}).status_code == 201
    tenant.call("PUT", f"{path}/value", json={"value": "second"})
    tenant.call("PUT", f"{path}/value", json={"value": "there", "environment": "staging"})
    for method, call in (("POST", "versions/1/restore"), ("DELETE", "environments/staging")):
        key = {"x-idempotency-key": str(uuid.uuid4())}
        one, two = (tenant.call(method, f"{path}/{call}", headers=key) for _ in range(2))
        assert wire.data_of(one) == wire.data_of(two)
        assert two.headers["idempotent-replayed"] == "true"
    assert tenant.get(path)["data"]["value_version"] == 3
    assert tenant.value("DB") == "first"


def test_an_if_match_that_is_no_version_is_refused_by_name(tenant: TenantUser) -> None:
    made = tenant.create("DB", "first")
    path = f"/v1/secrets/{made['id']}"
    for sent in ("*", "one", '"1', 'W/"1"', '"1", "2"', "1.0"):
        for method, call, body in (
            ("PUT", "value", {"value": "late"}),
            ("POST", "versions/1/restore", {}),
        ):
            answer = tenant.call(method, f"{path}/{call}", json=body, headers={"if-match": sent})
            assert "if-match" in wire.error_of(answer, 400, "validation_error")["fields"]
    assert tenant.get(path)["data"]["value_version"] == 1


def test_a_version_in_the_path_that_can_be_none_is_not_found(tenant: TenantUser) -> None:
    made = tenant.create("DB", "first")
    for version in ("0", "-1", "2", "x", "1e0", str(2**63)):
        path = f"/v1/secrets/{made['id']}/versions/{version}/restore"
        wire.error_of(tenant.call("POST", path), 404, "not_found")
