"""What breaks when the other answers are not what the wire contract shows: lists, rows, keys, leases."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.e2e.contract import wire

if TYPE_CHECKING:
    from tests.fixtures.tenant_user import TenantUser


def test_what_the_optional_fields_say_is_in_the_answer(tenant: TenantUser) -> None:
    data = tenant.create(
        "  two   words ",
        "value",
        description="for people",
        environment="production",
        expires_at="2099-03-15T14:00:00+02:00",
        strict_expiry_enforcement=True,
        secret_type="api_key",
    )
    expected = wire.CREATED | {
        "name": "two_words",
        "shortcode_name": "two_words",
        "description": "for people",
        "expires_at": "2099-03-15T12:00:00.000Z",
        "strict_expiry_enforcement": True,
    }
    wire.assert_form(expected, data)


def test_a_string_lives_its_life_in_the_documented_shapes(tenant: TenantUser) -> None:
    created = tenant.call("POST", "/v1/secrets", json={"name": "DB", "value": "first"})
    data = wire.data_of(created, 201)
    wire.assert_form(wire.CREATED | {"name": "DB", "shortcode_name": "DB"}, data)
    path = f"/v1/secrets/{data['id']}"
    assert created.headers["location"] == path

    shown = wire.data_of(tenant.call("GET", path))
    same = {name: data[name] for name in wire.CREATED}
    wire.assert_form(wire.ROW | same | {"environments": [wire.ENVIRONMENT]}, shown)

    put = tenant.call("PUT", f"{path}/value", json={"value": "second"})
    told = {"id": data["id"], "name": "DB", "environment": "production", "value_version": 2}
    wire.assert_form(told, wire.data_of(put))
    assert tenant.value("DB") == "second"

    wire.assert_form({"deleted": True}, wire.data_of(tenant.call("DELETE", path)))
    wire.error_of(tenant.call("GET", path), 404, "not_found")
    wire.error_of(tenant.call("DELETE", path), 404, "not_found")
    wire.error_of(tenant.call("PUT", f"{path}/value", json={"value": "x"}), 404, "not_found")
    assert tenant.get("/v1/secrets")["data"] == []


def test_a_value_is_replaced_only_on_the_version_its_sender_knows(tenant: TenantUser) -> None:
    made = tenant.create("DB", "first")
    path = f"/v1/secrets/{made['id']}/value"
    late = tenant.call("PUT", path, json={"value": "late"}, headers={"if-match": "7"})
    wire.error_of(late, 412, "version_mismatch")
    right = tenant.call("PUT", path, json={"value": "next"}, headers={"if-match": "1"})
    assert wire.data_of(right)["value_version"] == 2
    assert tenant.value("DB") == "next"


def test_a_list_has_its_page_in_meta(tenant: TenantUser) -> None:
    empty = tenant.call("GET", "/v1/secrets").json()
    page = {"request_id": wire.UUID, "total": 0, "page": 1, "per_page": 20, "total_pages": 0}
    wire.assert_form({"data": [], "meta": page}, empty)

    tenant.create_all(dict.fromkeys(("b", "B", "a_", "a"), "value"))
    answer = tenant.call("GET", "/v1/secrets", params={"per_page": 3}).json()
    wire.assert_form(page | {"total": 4, "per_page": 3, "total_pages": 2}, answer["meta"])
    wire.assert_form([wire.ROW] * 3, answer["data"])
    # By code point: capitals first.
    assert [row["name"] for row in answer["data"]] == ["B", "a", "a_"]
    last = tenant.get("/v1/secrets", per_page=3, page=2)["data"]
    assert [row["name"] for row in last] == ["b"]
    backwards = tenant.get("/v1/secrets", order="desc", search="a")["data"]
    assert [row["name"] for row in backwards] == ["a_", "a"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"page": "0"}, "page"),
        ({"per_page": "101"}, "per_page"),
        ({"per_page": "0"}, "per_page"),
        ({"page": "one"}, "page"),
        ({"sort": "value"}, "sort"),
        ({"order": "up"}, "order"),
        ({"serach": "a"}, "serach"),
    ],
)
def test_a_page_out_of_range_is_refused(
    tenant: TenantUser, query: dict[str, str], field: str
) -> None:
    answer = tenant.call("GET", "/v1/secrets", params=query)
    error = wire.error_of(answer, 400, "validation_error")
    assert list(error["fields"]) == [field]


def test_the_status_shows_the_key_and_every_version(tenant: TenantUser) -> None:
    refused = tenant.call("GET", "/admin/tenant-kms")
    wire.error_of(refused, 404, "no_kms_config")
    tenant.create("before", "made under the platform's key")
    customer = tenant.customer()
    tenant.onboard(customer)
    assert tenant.ended_lease()["state"] == "completed"
    config = tenant.onboarding(customer)["config"]
    key = {"id": wire.UUID, "created_at": wire.TIME}
    first = {"version": 1, "wrap_method": "global", "status": "retired", "retired_at": wire.TIME}
    second = {"version": 2, "wrap_method": "customer_kms", "status": "active", "retired_at": None}
    wire.assert_form(
        {
            "config": {
                "provider": "customer_kms_aws",
                "kms_key_ref": customer.key_arn,
                "config": config,
                "sealed_since": None,
                "last_verified_at": wire.TIME,
                "last_verify_error": None,
            },
            "keys": [key | second | {"data_keys": 1}, key | first | {"data_keys": 0}],
        },
        tenant.get("/admin/tenant-kms"),
    )


def test_a_config_shows_null_for_what_was_not_given(tenant: TenantUser) -> None:
    customer = tenant.customer()
    body = tenant.onboarding(customer)
    # The issued one is sent when none is given; the customer trusts exactly that.
    del body["config"]["external_id"]
    assert tenant.call("POST", "/admin/tenant-kms", json=body).status_code == 200
    shown = tenant.get("/admin/tenant-kms")["config"]["config"]
    assert shown == {
        "region": customer.region,
        "role_arn": customer.role_arn,
        "external_id": shown["external_id"],
    }
    assert shown["external_id"] in (None, customer.external_id)


def test_verify_proves_a_key_and_says_how_long_it_took(tenant: TenantUser) -> None:
    empty = tenant.call("POST", "/admin/tenant-kms/verify")
    wire.error_of(empty, 404, "no_kms_config")
    body = tenant.onboarding(tenant.customer())
    answer = tenant.call("POST", "/admin/tenant-kms/verify", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    check = {"name": str, "ok": True, "detail": str}
    latency = {"wrap": float, "unwrap": float}
    wire.assert_form(
        {"ok": True, "latency_ms": latency, "checks": [check] * len(found["checks"])}, found
    )
    assert found["checks"]
    wire.error_of(tenant.call("GET", "/admin/tenant-kms"), 404, "no_kms_config")


def test_a_rotation_answers_as_documented(tenant: TenantUser) -> None:
    none_yet = tenant.call("POST", "/admin/tenant-kms/rotate", headers=tenant.step_up())
    wire.error_of(none_yet, 404, "no_kms_config")
    tenant.onboard(tenant.customer())
    rotated = tenant.rotate()
    wire.assert_form({"rotated": True, "new_version": 2, "rewrap_lease_id": int}, rotated)
    lease = tenant.ended_lease(rotated["rewrap_lease_id"])
    wire.assert_form(
        {
            "id": rotated["rewrap_lease_id"],
            "state": "completed",
            "reason": "rotate",
            "target_version": 2,
            "total": 0,
            "done": 0,
            "skipped": 0,
            "failed": 0,
            "rate_per_second": lease["rate_per_second"],
            "eta_seconds": lease["eta_seconds"],
            "throttle_per_second": None,
            "created_at": wire.TIME,
            "started_at": wire.TIME,
            "finished_at": wire.TIME,
            "last_error": None,
        },
        lease,
    )


def test_a_setup_names_our_principal_and_the_issued_external_id(tenant: TenantUser) -> None:
    found = tenant.get("/admin/tenant-kms/setup")
    assert found.keys() == {"aws", "gcp", "azure"}
    assert found["aws"].keys() == {"principal_arn", "external_id"}
    assert found["aws"]["external_id"] == f"coffer-{tenant.id}"


@pytest.mark.parametrize("path", ["/v1/secrets", "/admin/tenant-kms/rewraps"])
def test_a_clients_request_id_comes_back(tenant: TenantUser, path: str) -> None:
    mine = str(uuid.uuid4())
    answer = tenant.call("GET", path, headers={"x-request-id": mine})
    assert answer.headers["x-request-id"] == mine
    if path.startswith("/v1"):
        assert answer.json()["meta"]["request_id"] == mine
    refused = tenant.call("GET", "/v1/nothing", headers={"x-request-id": mine})
    assert wire.error_of(refused, 404, "not_found")["request_id"] == mine


def test_a_request_id_that_is_none_is_replaced(tenant: TenantUser) -> None:
    answer = tenant.call("GET", "/v1/secrets", headers={"x-request-id": "x\ty"})
    assert wire.UUID.fullmatch(answer.headers["x-request-id"])
    assert answer.json()["meta"]["request_id"] == answer.headers["x-request-id"]
