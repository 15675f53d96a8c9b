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
