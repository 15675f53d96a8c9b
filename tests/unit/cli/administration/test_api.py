"""Answers of the API as the command line takes them, without a network."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cli.api import Api, ApiError, UnreachableError
from tests.fakes.cli_gateway import refusal


def api(answer: Any) -> Api:
    return Api("http://gateway", "token", transport=httpx.MockTransport(answer))


def test_the_token_and_the_step_up_travel_in_their_headers() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"ok": True})

    with api(answer) as client:
        client.post("/admin/x", step_up="s")
        client.get("/admin/x", state=None, page=2)
    assert seen[0].headers["authorization"] == "Bearer token"
    assert seen[0].headers["x-knoxcall-stepup"] == "s"
    assert "x-knoxcall-stepup" not in seen[1].headers
    assert str(seen[1].url) == "http://gateway/admin/x?page=2"


def test_a_refusal_is_told_with_its_fields_and_hint() -> None:
    body = refusal("validation_error", "Bad.", fields={"name": ["too long"]}, hint="Shorten it.")
    with api(lambda _: httpx.Response(400, json=body)) as client, pytest.raises(ApiError) as error:
        client.get("/v1/x")
    assert error.value.refused
    assert error.value.lines() == [
        "Bad. (validation_error)",
        "  name: too long",
        "  hint: Shorten it.",
        "  request_id: r-1",
    ]


@pytest.mark.parametrize(
    ("status", "refused"), [(400, True), (401, True), (500, False), (503, False)]
)
def test_who_must_act_is_told_by_the_status(status: int, refused: bool) -> None:
    with (
        api(lambda _: httpx.Response(status, json=refusal("x", "y"))) as client,
        pytest.raises(ApiError) as error,
    ):
        client.get("/v1/x")
    assert error.value.refused is refused


@pytest.mark.parametrize("body", ["<html>", "[]", "null", '{"error": "text"}'])
def test_an_answer_that_is_not_the_apis_is_no_crash(body: str) -> None:
    with (
        api(lambda _: httpx.Response(502, text=body)) as client,
        pytest.raises(ApiError, match="HTTP 502"),
    ):
        client.get("/v1/x")


def test_a_page_that_is_not_json_is_no_success() -> None:
    with api(lambda _: httpx.Response(200, text="hello")) as client, pytest.raises(ApiError):
        client.get("/v1/x")


def test_a_redirect_is_not_followed_with_the_token() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "gateway"
        return httpx.Response(302, headers={"Location": "http://stranger/"})

    with api(answer) as client, pytest.raises(ApiError):
        client.get("/v1/x")


def test_nobody_there_is_told_with_the_url() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with api(answer) as client, pytest.raises(UnreachableError, match="http://gateway"):
        client.get("/v1/x")
