"""Environments and collections as a client of the HTTP API sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from cli import tenancy

if TYPE_CHECKING:
    from tests.fixtures.tenant_user import TenantUser

ENVIRONMENT = {
    "id", "name", "display_name", "description", "color", "is_default", "created_at",
}  # fmt: skip
COLLECTION = {"id", "name", "description", "secret_count", "created_at"}
AREAS = ("environments", "collections")


def _with_scopes(tenant: TenantUser, *scopes: str) -> TenantUser:
    """The same tenant's client with a lesser key."""
    key = tenancy.create_api_key(tenant.stack.stack.admin_dsn, tenant.id, "lesser", scopes)
    return replace(tenant, api_key=key)


def _data(tenant: TenantUser, method: str, path: str, status: int = 200, **arguments: Any) -> Any:
    answer = tenant.call(method, path, **arguments)
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def _refused(tenant: TenantUser, method: str, path: str, **arguments: Any) -> tuple[int, Any]:
    answer = tenant.call(method, path, **arguments)
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize("area", AREAS)
def test_any_key_reads_and_only_the_areas_scope_writes(tenant: TenantUser, area: str) -> None:
    path = f"/v1/{area}"
    writer = _with_scopes(tenant, f"{area}:write")
    other = _with_scopes(tenant, "audit:read", *(f"{o}:write" for o in AREAS if o != area))
    made = _data(writer, "POST", path, 201, json={"name": "mine"})
    assert _data(other, "GET", f"{path}/{made['id']}") == made
    assert made in _data(other, "GET", path)
    for method, at, body in (
        ("POST", path, {"name": "theirs"}),
        ("PATCH", f"{path}/{made['id']}", {"name": "theirs"}),
        ("DELETE", f"{path}/{made['id']}", None),
    ):
        status, error = _refused(other, method, at, json=body)
        assert (status, error["type"]) == (403, "insufficient_scope")
    assert _data(writer, "DELETE", f"{path}/{made['id']}") == {"deleted": True}
    status, error = _refused(other, "GET", f"{path}/{made['id']}")
    assert (status, error["type"]) == (404, "not_found")


@pytest.mark.parametrize(("area", "members"), [(AREAS[0], ENVIRONMENT), (AREAS[1], COLLECTION)])
def test_rows_have_every_member_and_answers_say_where_the_new_one_is(
    tenant: TenantUser, area: str, members: set[str]
) -> None:
    answer = tenant.call("POST", f"/v1/{area}", json={"name": "mine", "description": "for people"})
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    assert set(made) == members
    assert answer.headers["location"] == f"/v1/{area}/{made['id']}"
    changed = _data(tenant, "PATCH", f"/v1/{area}/{made['id']}", json={"description": None})
    assert changed == made | {"description": None}


@pytest.mark.parametrize("area", AREAS)
def test_a_repeated_request_is_answered_as_the_first(tenant: TenantUser, area: str) -> None:
    made: dict[str, Any] = {}
    for method, at, body in (
        ("POST", "", {"name": "mine"}),
        ("PATCH", "/{id}", {"name": "other"}),
        ("DELETE", "/{id}", None),
    ):
        path = f"/v1/{area}" + at.format(**made)
        first, again = (
            tenant.call(method, path, json=body, headers={"idempotency-key": method})
            for _ in range(2)
        )
        assert first.is_success, first.text
        assert (again.status_code, again.json()["data"]) == (
            first.status_code,
            first.json()["data"],
        )
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers.get("location") == first.headers.get("location")
        made = made or first.json()["data"]


@pytest.mark.parametrize("area", AREAS)
def test_broken_changes_name_the_field(tenant: TenantUser, area: str) -> None:
    made = _data(tenant, "POST", f"/v1/{area}", 201, json={"name": "mine"})
    path = f"/v1/{area}/{made['id']}"
    for body, field in (
        ({}, "body"),
        ({"name": None}, "name"),
        ({"nmae": "x"}, "nmae"),
        ({"id": str(uuid4())}, "id"),
        ({"name": 7}, "name"),
    ):
        status, error = _refused(tenant, "PATCH", path, json=body)
        assert (status, error["type"]) == (400, "validation_error"), body
        assert list(error["fields"]) == [field]
    assert _data(tenant, "GET", path) == made


def test_environments_are_a_bare_array_and_collections_a_page(tenant: TenantUser) -> None:
    listed = tenant.call("GET", "/v1/environments").json()
    assert [row["name"] for row in listed["data"]] == ["production"]
    assert set(listed["meta"]) == {"request_id"}
    page = tenant.call("GET", "/v1/collections", params={"per_page": 5}).json()
    assert page["data"] == []
    assert page["meta"] | {"request_id": ""} == {
        "request_id": "",
        "total": 0,
        "page": 1,
        "per_page": 5,
        "total_pages": 0,
    }


def test_a_collection_counts_its_secrets_and_lets_them_go(tenant: TenantUser) -> None:
    made = _data(tenant, "POST", "/v1/collections", 201, json={"name": " Payments "})
    assert (made["name"], made["secret_count"]) == ("Payments", 0)
    secret = tenant.create("S", "x", collection_id=made["id"])
    path = f"/v1/collections/{made['id']}"
    assert _data(tenant, "GET", path)["secret_count"] == 1
    assert _data(tenant, "DELETE", path) == {"deleted": True}
    assert _data(tenant, "GET", f"/v1/secrets/{secret['id']}")["collection_id"] is None


def test_published_clients_find_the_members_they_read(tenant: TenantUser) -> None:
    body = {"name": "staging", "color": "#f59e0b", "is_default": True}
    made = _data(tenant, "POST", "/v1/environments", 201, json=body)
    assert (made["display_name"], made["color"], made["is_default"]) == (
        "staging",
        "#f59e0b",
        True,
    )
    (production, _) = _data(tenant, "GET", "/v1/environments")
    assert isinstance(production["color"], str)
    status, error = _refused(tenant, "DELETE", f"/v1/environments/{made['id']}")
    assert (status, error["type"]) == (409, "conflict")
    status, error = _refused(
        tenant, "PATCH", f"/v1/environments/{made['id']}", json={"is_default": False}
    )
    assert status == 400
    assert "another" in error["fields"]["is_default"][0]
