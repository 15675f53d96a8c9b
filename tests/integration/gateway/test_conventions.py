"""What all operations have in common: idempotency keys, masks of PATCH, entity tags, headers of services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from coffer.secrets.v1 import audit_logs_pb2, secrets_pb2
from coffer.type.v1 import page_pb2

from services.common.errors import ConflictError, TenantSealedError, UnavailableError

if TYPE_CHECKING:
    from tests.integration.gateway.conftest import Stack

SECRET = "/v1/secrets/7c9e6679-7425-40de-944b-e07fc1f90ae7"
LIMITS = [("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "7")]


async def patched(stack: Stack, body: object) -> Any:
    answer = await stack.client.patch(SECRET, json=body)
    assert answer.status_code == 200, answer.text
    return stack.backend.received[-1].request


async def test_a_patch_tells_null_from_absent(stack: Stack) -> None:
    request = await patched(stack, {"expires_at": None, "name": "b", "collection_id": None})
    assert list(request.update_mask.paths) == ["expires_at", "name", "collection_id"]
    assert (request.name, request.HasField("expires_at")) == ("b", False)
    assert list((await patched(stack, {})).update_mask.paths) == []
    assert (await stack.client.patch(SECRET)).status_code == 200
    assert stack.backend.received[-1].request.HasField("update_mask")


@pytest.mark.parametrize(("scopes", "paths"), [(None, ["name"]), ([], ["name", "scopes"])])
async def test_null_is_not_given_where_something_is_made(
    stack: Stack, scopes: list[str] | None, paths: list[str]
) -> None:
    await stack.client.post("/v1/api-keys", json={"name": "ci", "scopes": scopes})
    assert list(stack.backend.received[-1].request.update_mask.paths) == paths


@pytest.mark.parametrize("member", ["update_mask", "id", "nope"])
@pytest.mark.parametrize("value", [None, "name", {"paths": ["name"]}])
async def test_a_client_cannot_write_the_mask_nor_what_the_path_says(
    stack: Stack, member: str, value: object
) -> None:
    answer = await stack.client.patch(SECRET, json={"name": "b", member: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["fields"] == {member: ["unknown field"]}
    assert stack.backend.received == []


@pytest.mark.parametrize("path", [SECRET, "/v1/secrets"])
async def test_an_entity_tag_is_the_version_of_what_the_body_shows(stack: Stack, path: str) -> None:
    stack.backend.replies["GetSecret"] = secrets_pb2.SecretDetail(value_version=12)
    stack.backend.replies["CreateSecret"] = secrets_pb2.CreateSecretResponse(
        secret=secrets_pb2.CreatedSecret(id="x", value_version=12)
    )
    body = None if path == SECRET else {"name": "a", "value": "v"}
    answer = await stack.client.request("POST" if body else "GET", path, json=body)
    assert answer.headers["etag"] == '"12"'
    again = {"If-Match": answer.headers["etag"]}
    await stack.client.put(f"{SECRET}/value", json={"value": "w"}, headers=again)
    assert stack.backend.received[-1].request.if_match == 12


async def test_what_has_no_version_or_failed_has_no_entity_tag(stack: Stack) -> None:
    stack.backend.replies["CreateSecret"] = secrets_pb2.CreateSecretResponse(
        certificate=secrets_pb2.CreatedCertificate(id="x")
    )
    assert "etag" not in (await stack.client.post("/v1/secrets", json={"name": "a"})).headers
    stack.backend.replies["GetSecret"] = ConflictError("no")
    assert "etag" not in (await stack.client.get(SECRET)).headers


async def test_a_feed_says_in_meta_where_it_goes_on(stack: Stack) -> None:
    for cursor in ("abc", None):
        stack.backend.replies["ListAuditEvents"] = audit_logs_pb2.ListAuditEventsResponse(
            events=[audit_logs_pb2.AuditEvent(cursor="abc")],
            cursor_page=page_pb2.CursorPage(next_cursor=cursor, limit=100),
        )
        answer = await stack.client.get("/v1/audit-logs/events")
        assert answer.json()["meta"] == {
            "request_id": answer.headers["x-request-id"],
            "next_cursor": cursor,
            "limit": 100,
        }
        assert [row["cursor"] for row in answer.json()["data"]] == ["abc"]


async def test_a_list_with_two_ways_to_page_shows_the_one_that_was_used(stack: Stack) -> None:
    stack.backend.replies["ListSecrets"] = secrets_pb2.ListSecretsResponse(
        cursor_page=page_pb2.CursorPage(limit=7)
    )
    answer = await stack.client.get("/v1/secrets?cursor=&limit=7&deleted=true")
    assert set(answer.json()["meta"]) == {"request_id", "next_cursor", "limit"}
    request = stack.backend.received[-1].request
    assert (request.HasField("cursor"), request.limit, request.deleted) == (True, 7, True)


@pytest.mark.parametrize("fails", [False, True])
async def test_four_headers_of_a_service_reach_the_client_and_no_other(
    stack: Stack, fails: bool
) -> None:
    stack.backend.headers = [
        ("idempotent-replayed", "true"), *LIMITS, ("set-cookie", "a"), ("x-request-id", "b"),
    ]  # fmt: skip
    if fails:
        stack.backend.replies["ListSecrets"] = ConflictError("no")
    answer = await stack.client.get("/v1/secrets")
    assert answer.status_code == (409 if fails else 200)
    assert answer.headers["idempotent-replayed"] == "true"
    assert {name: answer.headers[name] for name, _ in LIMITS} == dict(LIMITS)
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-request-id"] != "b"


async def test_a_request_that_cannot_be_read_counts_against_the_limit_too(stack: Stack) -> None:
    stack.backend.headers = LIMITS
    answer = await stack.client.get("/v1/secrets?nope=1")
    assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (400, "5")


@pytest.mark.parametrize("error", [UnavailableError(), TenantSealedError()])
async def test_each_503_says_when_to_come_again(
    stack: Stack, error: UnavailableError | TenantSealedError
) -> None:
    stack.backend.replies["ListSecrets"] = error
    answer = await stack.client.get("/v1/secrets")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, str(error.retry_after))


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Idempotency-Key"])
async def test_an_idempotency_key_travels_with_what_changes_something(
    stack: Stack, header: str
) -> None:
    key = {header: "A key: ~!" + "x" * 246}
    for method, path, body in (
        ("POST", "/v1/secrets", {"name": "a"}),
        ("PUT", f"{SECRET}/value", {"value": "b"}),
        ("PATCH", SECRET, {"name": "b"}),
        ("DELETE", SECRET, None),
        ("POST", "/admin/tenant-kms/rotate", None),
    ):
        await stack.client.request(method, path, json=body, headers=key)
        assert stack.backend.received[-1].metadata["idempotency-key"] == key[header]
    await stack.client.get(SECRET, headers={header: "x" * 256})
    assert "idempotency-key" not in stack.backend.received[-1].metadata
    assert len(stack.backend.received) == 6


async def test_the_same_key_in_both_headers_is_one_key(stack: Stack) -> None:
    both = {"Idempotency-Key": "a", "X-Idempotency-Key": "a"}
    await stack.client.delete(SECRET, headers=both)
    assert stack.backend.received[-1].metadata["idempotency-key"] == "a"


@pytest.mark.parametrize(
    "headers",
    [
        [("Idempotency-Key", "a"), ("X-Idempotency-Key", "b")],
        [("Idempotency-Key", "a"), ("Idempotency-Key", "a")],
        [("Idempotency-Key", "")],
        [("Idempotency-Key", "x" * 256)],
        [("Idempotency-Key", b"\xc3\xa4")],
        [("Idempotency-Key", "a\tb")],
    ],
)
async def test_a_key_that_is_none_is_refused_with_all_other_faults(
    stack: Stack, headers: list[tuple[str, str | bytes]]
) -> None:
    raw = [(name.encode(), v if isinstance(v, bytes) else v.encode()) for name, v in headers]
    raw.append((b"authorization", b"Bearer x"))
    answer = await stack.client.post("/v1/secrets", json={"nope": 1}, headers=raw)
    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == ["idempotency-key", "nope"]
    assert stack.backend.refused == ["CreateSecret"]


async def test_who_is_not_known_learns_nothing_of_his_key(stack: Stack) -> None:
    del stack.client.headers["authorization"]
    answer = await stack.client.delete(SECRET, headers={"Idempotency-Key": "x" * 300})
    assert answer.status_code == 401


@pytest.mark.parametrize("version", ["0", "-1", "1.0", "x", "007", "9223372036854775808"])
async def test_a_version_that_cannot_be_is_not_found(stack: Stack, version: str) -> None:
    for method, path in (
        ("POST", f"{SECRET}/versions/{version}/restore"),
        ("GET", f"/admin/tenant-kms/rewraps/{version}"),
    ):
        answer = await stack.client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    assert stack.backend.received == []


async def test_a_feed_can_be_verified_from_an_event(stack: Stack) -> None:
    assert (await stack.client.get("/v1/audit-logs/verify?from=7")).status_code == 200
    assert getattr(stack.backend.received[-1].request, "from") == 7
    for wrong in ("x", "1.0", "", "9223372036854775808"):
        answer = await stack.client.get(f"/v1/audit-logs/verify?from={wrong}")
        assert list(answer.json()["error"]["fields"]) == ["from"], wrong


async def test_an_operation_that_the_service_does_not_know_yet_may_be_tried_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def of_the_previous_release(_rpc: Any, _request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

    monkeypatch.setattr(stack.backend, "answer", of_the_previous_release)
    answer = await stack.client.get("/v1/secrets")
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
