"""PATCH, lists in pieces and undoing a deletion, as a client of the HTTP API sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.e2e.contract.wire import ROW, TIME, differences

if TYPE_CHECKING:
    from tests.fixtures.tenant_user import TenantUser

SECRETS = "/v1/secrets"


def _create(tenant: TenantUser, name: str, **members: Any) -> Any:
    answer = tenant.call("POST", SECRETS, json={"name": name, "value": "v", **members})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def _refusal(tenant: TenantUser, method: str, path: str, **arguments: Any) -> tuple[int, str, Any]:
    answer = tenant.call(method, path, **arguments)
    error = answer.json()["error"]
    return answer.status_code, error["type"], set(error.get("fields", ()))


def test_null_clears_and_what_is_not_sent_stays(tenant: TenantUser) -> None:
    made = _create(tenant, "PATCHED", description="d", expires_at="2040-01-01T00:00:00Z")
    at = f"{SECRETS}/{made['id']}"
    answer = tenant.call("PATCH", at, json={"expires_at": None, "name": "a new  name"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == '"1"'
    row = answer.json()["data"]
    form = ROW | {"name": "a_new_name", "shortcode_name": "a_new_name", "description": "d"}
    assert differences(form, row) == []
    cleared = tenant.call("PATCH", at, json={"description": None}).json()["data"]
    assert cleared["description"] is None
    assert cleared["name"] == "a_new_name"


def test_what_a_patch_may_not_say_is_refused_by_name(tenant: TenantUser) -> None:
    at = f"{SECRETS}/{_create(tenant, 'REFUSED')['id']}"
    for body, field in (
        ({}, "body"),
        ({"value": "x"}, "value"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"strict_expiry_enforcement": None}, "strict_expiry_enforcement"),
        ({"strict_expiry_enforcement": "true"}, "strict_expiry_enforcement"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"collection_id": str(uuid4())}, "collection_id"),
        ({"description": ["d"]}, "description"),
    ):
        refusal = _refusal(tenant, "PATCH", at, json=body)
        assert refusal == (400, "validation_error", {field}), body
    _create(tenant, "TAKEN")
    assert _refusal(tenant, "PATCH", at, json={"name": "TAKEN"})[:2] == (409, "conflict")


def test_a_deletion_is_undone_until_the_name_is_taken(tenant: TenantUser) -> None:
    made = _create(tenant, "UNDONE")
    at = f"{SECRETS}/{made['id']}"
    assert _refusal(tenant, "POST", f"{at}/restore")[:2] == (409, "invalid_state")
    assert tenant.call("DELETE", at).json()["data"] == {"deleted": True}
    assert _refusal(tenant, "PATCH", at, json={"name": "X"})[:2] == (404, "not_found")
    (gone,) = tenant.call("GET", SECRETS, params={"deleted": "true"}).json()["data"]
    form = ROW | {"name": "UNDONE", "shortcode_name": "UNDONE", "deleted_at": TIME}
    assert differences(form, gone) == []
    again = _create(tenant, "UNDONE")
    assert _refusal(tenant, "POST", f"{at}/restore")[:2] == (409, "conflict")
    tenant.call("DELETE", f"{SECRETS}/{again['id']}")
    answer = tenant.call("POST", f"{at}/restore")
    assert answer.status_code == 200, answer.text
    del gone["deleted_at"]
    assert answer.json()["data"] == gone


def test_a_list_in_pieces_ends_with_null(tenant: TenantUser) -> None:
    for number in range(5):
        _create(tenant, f"PIECE{number}")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"cursor": cursor, "limit": 2, "search": "PIECE"}
        body = tenant.call("GET", SECRETS, params=query).json()
        assert body["meta"].keys() == {"request_id", "next_cursor", "limit"}
        seen += [row["name"] for row in body["data"]]
        cursor = body["meta"]["next_cursor"]
    assert seen == [f"PIECE{number}" for number in range(5)]
    for wrong in (
        {"cursor": "x"},
        {"cursor": "", "page": 1},
        {"limit": 2},
        {"cursor": "", "limit": 0},
    ):
        assert _refusal(tenant, "GET", SECRETS, params=wrong)[:2] == (400, "validation_error")
