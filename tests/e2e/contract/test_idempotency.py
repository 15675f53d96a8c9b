"""What breaks when a client that repeats a request makes two of what it wanted one of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.e2e.contract import wire
from tests.fixtures.tenant_user import together

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.tenant_user import TenantUser

COPIES = 12
CHANGES = 16
"""That one test makes, each sent twice but one."""
REPLAYED = "idempotent-replayed"


def create(user: TenantUser, body: dict[str, Any], **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return user.call("POST", "/v1/secrets", json=body, headers=named)


def test_copies_at_the_same_moment_make_one_secret_and_get_one_answer(tenant: TenantUser) -> None:
    body = {"name": "once", "value": "value"}
    send = partial(create, tenant, body, idempotency_key="a key with blanks")
    answers: list[httpx.Response] = together([send] * COPIES, at_once=COPIES)
    rows = [wire.data_of(answer, 201) for answer in answers]
    assert all(row == rows[0] for row in rows)
    assert {answer.headers["location"] for answer in answers} == {f"/v1/secrets/{rows[0]['id']}"}
    assert sum(answer.headers.get(REPLAYED) == "true" for answer in answers) == COPIES - 1
    assert len({answer.headers["x-request-id"] for answer in answers}) == COPIES
    assert [row["id"] for row in tenant.rows().values()] == [rows[0]["id"]]
    # The header of older clients is the same key.
    again = create(tenant, body, x_idempotency_key="a key with blanks")
    assert again.headers[REPLAYED] == "true"
    assert wire.data_of(again, 201) == rows[0]


def test_a_key_stands_for_one_request_and_for_what_it_came_to(tenant: TenantUser) -> None:
    body = {"name": "taken", "value": "value"}
    tenant.create(**body)
    for is_copy in (False, True):
        answer = create(tenant, body, idempotency_key="k")
        wire.error_of(answer, 409, "conflict")
        assert (answer.headers.get(REPLAYED) == "true") is is_copy
    other = create(tenant, body | {"name": "free"}, idempotency_key="k")
    wire.error_of(other, 409, "idempotency_conflict")
    assert REPLAYED not in other.headers
    broken = create(tenant, body | {"name": ""}, idempotency_key="of a mistake")
    wire.error_of(broken, 400, "validation_error")
    mended = create(tenant, body | {"name": "mended"}, idempotency_key="of a mistake")
    assert wire.data_of(mended, 201)["name"] == "mended"
    unkeyed = tenant.call("GET", "/v1/secrets", headers={"idempotency-key": "k"})
    assert (unkeyed.status_code, REPLAYED in unkeyed.headers) == (200, False)


def test_a_replayed_api_key_is_not_shown_again(tenant: TenantUser) -> None:
    send = partial(
        tenant.call,
        "POST",
        "/v1/api-keys",
        json={"name": "one"},
        headers={"idempotency-key": "k"},
    )
    first, second = (wire.data_of(send(), 201) for _ in range(2))
    assert first["api_key"].startswith("tk_live_")
    assert second == first | {"api_key": None, "message": second["message"]}


def test_every_change_is_answered_again_as_it_was(tenant: TenantUser) -> None:
    def twice(method: str, path: str, status: int = 200, **body: Any) -> Any:
        key = {"idempotency-key": f"{method} {path} {body}"}
        more = {"json": body} if body else {}
        first, second = (tenant.call(method, path, headers=key, **more) for _ in range(2))
        data = wire.data_of(first, status)
        assert wire.data_of(second, status) == data, path
        assert REPLAYED not in first.headers, path
        assert second.headers[REPLAYED] == "true", path
        for name in ("location", "etag"):
            assert first.headers.get(name) == second.headers.get(name), path
        return data

    before = tenant.get("/v1/audit-logs")["meta"]["total"]
    collection = twice("POST", "/v1/collections", 201, name="box")["id"]
    twice("PATCH", f"/v1/collections/{collection}", description="of things")
    environment = twice("POST", "/v1/environments", 201, name="staging")["id"]
    twice("PATCH", f"/v1/environments/{environment}", color=None, description="before")
    secret = twice("POST", "/v1/secrets", 201, name="one", value="1", collection_id=collection)[
        "id"
    ]
    path = f"/v1/secrets/{secret}"
    twice("PATCH", path, description="changed", expires_at=None)
    twice("PUT", f"{path}/value", value="2")
    twice("PUT", f"{path}/value", value="3", environment="staging")
    assert twice("POST", f"{path}/versions/1/restore")["value_version"] == 3
    twice("DELETE", f"{path}/environments/staging")
    twice("DELETE", path)
    twice("POST", f"{path}/restore")
    twice("DELETE", f"/v1/environments/{environment}")
    twice("DELETE", f"/v1/collections/{collection}")
    made = wire.data_of(tenant.call("POST", "/v1/api-keys", json={"name": "two"}), 201)
    twice("DELETE", f"/v1/api-keys/{made['key_id']}")
    events = [row["action"] for row in tenant.get("/v1/audit-logs", per_page=100)["data"]]
    done = events[: len(events) - before]
    for first_use in ("kms.key.created", "environment.created"):
        done.remove(first_use)
    assert len(done) == CHANGES, done
