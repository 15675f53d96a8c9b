"""Requests that cannot be read: each gets its documented 4xx, after authentication and before effect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from services.common.errors import InsufficientScopeError

if TYPE_CHECKING:
    import httpx

    from tests.integration.gateway.conftest import Stack

BROKEN: dict[str, bytes] = {
    "cut off": b'{"name": "A"',
    "two values": b"{} {}",
    "single quotes": b"{'name': 'A'}",
    "trailing comma": b'{"name": "A",}',
    "comment": b"{} // no",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "A"}'.encode("utf-16"),
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "byte order mark": b'\xef\xbb\xbf{"name": "A"}',
    "duplicate member": b'{"name": "A", "name": "B"}',
    "duplicate member below": b'{"config": {"region": "a", "region": "b"}}',
    "duplicate through an escape": b'{"name": "A", "n\\u0061me": "B"}',
    "array": b"[]",
    "string": b'"name"',
    "number": b"1",
    "null": b"null",
    "blank": b"  ",
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "too large a real": b'{"name": 1e999}',
    "too long an integer": b'{"name": ' + b"9" * 5000 + b"}",
    "unpaired surrogate": b'{"name": "\\ud800"}',
    "unpaired surrogate in a name": b'{"\\udfff": 1}',
    "control character": b'{"name": "a\x01b"}',
    "33 objects deep": b'{"a":' * 33 + b"1" + b"}" * 33,
    "33 arrays deep": b'{"a":' + b"[" * 33 + b"]" * 33 + b"}",
    "100,000 arrays deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 objects deep, never closed": b'{"a":' * 100_000,
}
JSON = {"content-type": "application/json"}


def assert_refused(answer: httpx.Response, fields: dict[str, list[str]] | None = None) -> Any:
    error = answer.json()["error"]
    assert answer.status_code == 400, answer.text
    assert error["type"] == "validation_error"
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["fields"]
    if fields is not None:
        assert error["fields"] == fields
    return error


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("path", ["/v1/secrets", "/admin/tenant-kms"])
async def test_a_broken_body_is_refused_and_has_no_effect(
    stack: Stack, path: str, case: str
) -> None:
    answer = await stack.client.post(path, content=BROKEN[case], headers=JSON)
    error = assert_refused(answer)
    assert list(error["fields"]) == ["body"]
    assert stack.backend.received == []
    assert len(stack.backend.refused) == 1


async def test_as_deep_as_allowed_is_not_too_deep(stack: Stack) -> None:
    body = b'{"a":' * 32 + b"1" + b"}" * 32
    answer = await stack.client.post("/admin/tenant-kms", content=body, headers=JSON)
    assert answer.status_code == 200, answer.text


async def test_without_a_credential_a_broken_body_is_401(stack: Stack) -> None:
    del stack.client.headers["authorization"]
    for content in BROKEN.values():
        answer = await stack.client.post("/v1/secrets", content=content, headers=JSON)
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "unauthenticated"
    for query in ("?nope=1", "?page=x", "?page=1&page=2", "?%ff=1"):
        assert (await stack.client.get(f"/v1/secrets{query}")).status_code == 401


async def test_all_faults_of_query_headers_and_body_are_told_at_once(stack: Stack) -> None:
    answer = await stack.client.put(
        "/v1/secrets/x/value?mode=fast",
        json={"value": 1, "passphrse": "geheim", "environment": ["a"]},
        headers={"If-Match": "x"},
    )
    error = assert_refused(
        answer,
        {
            "value": ["must be a string"],
            "passphrse": ["unknown field"],
            "environment": ["must be a string"],
            "mode": ["unknown query parameter"],
            "if-match": ["must be an integer"],
        },
    )
    assert "geheim" not in answer.text
    assert error["message"] == "The request has 5 faults."


@pytest.mark.parametrize(
    ("method", "path", "header"),
    [
        ("PATCH", "/v1/secrets/x", "If-Match"),
        ("DELETE", "/v1/secrets/x", "If-Match"),
        ("PUT", "/v1/secrets/x/value", "If-None-Match"),
        ("POST", "/v1/secrets", "If-None-Match"),
        ("POST", "/admin/tenant-kms", "If-Match"),
    ],
)
async def test_a_condition_that_is_not_heeded_is_refused_and_never_ignored(
    stack: Stack, method: str, path: str, header: str
) -> None:
    answer = await stack.client.request(method, path, json={}, headers={header: "*"})
    assert assert_refused(answer)["fields"][header.lower()] == ["is not supported here"]


async def test_a_condition_on_a_reading_request_means_nothing(stack: Stack) -> None:
    headers = {"If-None-Match": '"1"', "If-Match": '"2"'}
    assert (await stack.client.get("/v1/secrets", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"strict_expiry_enforcement": 1}, ["strict_expiry_enforcement"]),
        ({"strict_expiry_enforcement": "true"}, ["strict_expiry_enforcement"]),
        ({"name": True}, ["name"]),
        ({"name": {"a": 1}}, ["name"]),
        ({"expires_at": "tomorrow"}, ["expires_at"]),
        ({"expires_at": 1773576000}, ["expires_at"]),
        ({"expires_at": "2026-03-15T12:00:00"}, ["expires_at"]),
        ({"expiresAt": "2026-03-15T12:00:00Z"}, ["expiresAt"]),
        ({"NAME": "x"}, ["NAME"]),
    ],
)
async def test_a_wrong_type_or_an_unknown_member_is_named(
    stack: Stack, body: dict[str, Any], fields: list[str]
) -> None:
    error = assert_refused(await stack.client.post("/v1/secrets", json=body))
    assert list(error["fields"]) == fields
    assert error["message"].startswith(fields[0])


async def test_null_counts_as_absent(stack: Stack) -> None:
    body = {"name": "A", "description": None, "expires_at": None, "value": "x"}
    await stack.client.post("/v1/secrets", json=body)
    request = stack.backend.received[0].request
    assert not request.HasField("description")
    assert not request.HasField("expires_at")


async def test_an_offset_and_decimals_of_a_time_are_understood(stack: Stack) -> None:
    body = {"name": "A", "expires_at": "2026-03-15T13:30:00.123456789123+01:30"}
    await stack.client.post("/v1/secrets", json=body)
    expires = stack.backend.received[0].request.expires_at
    assert (expires.seconds, expires.nanos) == (1773576000, 123456789)


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?nope=1", {"nope": ["unknown query parameter"]}),
        ("?page=1&page=2", {"page": ["given more than once"]}),
        ("?page=1.5", {"page": ["must be an integer"]}),
        ("?page=", {"page": ["must be an integer"]}),
        ("?page=%2B1", {"page": ["must be an integer"]}),
        ("?page=9223372036854775808", {"page": ["is out of range"]}),
        ("?search=%ff", {"search": ["is not UTF-8"]}),
        ("?%ff=1", {"query": ["is not UTF-8"]}),
    ],
)
async def test_a_bad_query_parameter_is_named(
    stack: Stack, query: str, fields: dict[str, list[str]]
) -> None:
    assert_refused(await stack.client.get(f"/v1/secrets{query}"), fields)
    assert stack.backend.received == []


async def test_an_offset_in_a_query_may_lose_its_plus_as_in_every_form(stack: Stack) -> None:
    for text in ("2026-03-15T13:00:00+01:00", "2026-03-15T13:00:00%2B01:00"):
        await stack.client.get(f"/v1/secrets?expires_before={text}")
        assert stack.backend.received[-1].request.expires_before.seconds == 1773576000


async def test_a_body_where_none_is_known_is_not_dropped_in_silence(stack: Stack) -> None:
    answer = await stack.client.request("DELETE", "/v1/secrets/x", json={"force": True})
    assert_refused(answer, {"force": ["unknown field"]})
    assert (await stack.client.request("DELETE", "/v1/secrets/x", json={})).status_code == 200


async def test_thousands_of_faults_still_fit_into_an_answer(stack: Stack) -> None:
    body = {f"ünbekannt{n}" * 20: 1 for n in range(2_000)}
    error = assert_refused(await stack.client.post("/v1/secrets", json=body))
    assert error["message"] == "The request has 2000 faults."
    assert 1 < len(error["fields"]) < 100
    one = {"x" * 200_000: 1}
    error = assert_refused(await stack.client.post("/v1/secrets", json=one))
    assert len(json.dumps(error)) < 2_000


async def test_a_media_type_other_than_json_is_415_before_authentication(stack: Stack) -> None:
    del stack.client.headers["authorization"]
    for headers in (
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ):
        answer = await stack.client.post("/v1/secrets", content=b"{}", headers=headers)
        assert answer.status_code == 415, headers
        assert answer.json()["error"]["type"] == "unsupported_media_type"
    for good in ("application/json; charset=utf-8", "Application/JSON ;x=y"):
        answer = await stack.client.post(
            "/v1/secrets", content=b"{}", headers={"content-type": good}
        )
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1", "/v1/", "/v1/secrets/", "/v1//secrets", "/v1/secrets/a/", "/v1/secrets//value",
        "/v1/secret", "/V1/secrets", "/v1/secrets/a/b/c", "/admin/tenant-kms/", "/healthz/",
        "/v1/secrets/../secrets", "/%76", "/v1/secrets%2Fcertificate/x/y",
    ],
)  # fmt: skip
async def test_a_path_that_does_not_exist_is_404(stack: Stack, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await stack.raw(request.encode("ascii"))
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "not_found"


async def test_a_wrong_method_is_405_and_names_the_right_ones(stack: Stack) -> None:
    for method, path, allow in (
        ("PATCH", "/v1/secrets", "GET, POST"),
        ("HEAD", "/v1/secrets", "GET, POST"),
        ("OPTIONS", "/v1/secrets", "GET, POST"),
        ("PUT", "/v1/secrets/certificate", "DELETE, GET, PATCH, POST"),
        ("POST", "/v1/secrets/x", "DELETE, GET, PATCH"),
        ("DELETE", "/admin/tenant-kms/rotate", "POST"),
        ("POST", "/healthz", "GET"),
    ):
        answer = await stack.client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow), (method, path)
        if method != "HEAD":
            assert answer.json()["error"]["type"] == "method_not_allowed"


async def test_bytes_in_a_path_are_text_of_their_segment(stack: Stack) -> None:
    await stack.client.get("/v1/secrets/a%2Fb%20c%C3%A4")
    assert stack.backend.received[-1].request.id == "a/b cä"
    answer = await stack.raw(
        b"GET /v1/secre%74s/x HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    await stack.client.get("/v1/secrets/certificate")
    assert stack.backend.received[-1].rpc == "GetSecret"


@pytest.mark.parametrize("identifier", ["x", "1.0", "-", "9223372036854775808", "%31%ff", "1e3"])
async def test_an_id_that_cannot_exist_is_404_after_authentication(
    stack: Stack, identifier: str
) -> None:
    path = f"/admin/tenant-kms/rewraps/{identifier}"
    answer = await stack.client.get(path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    assert stack.backend.received == []
    del stack.client.headers["authorization"]
    assert (await stack.client.get(path)).status_code == 401


async def test_a_refusal_never_hides_that_the_caller_may_not_call(stack: Stack) -> None:
    async def deny(_request: Any) -> Any:
        raise AssertionError("a refused request must not reach the use case")

    stack.backend.replies["CreateSecret"] = deny
    assert_refused(await stack.client.post("/v1/secrets", json={"nope": 1}))
    stack.backend.replies["CreateSecret"] = InsufficientScopeError("no")
    assert (await stack.client.post("/v1/secrets", json={})).status_code == 403
