"""What breaks when an answer is lost or the service is busy for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cli.api import Api, ApiError, UnreachableError
from cli.patience import Patience
from tests.fakes.cli_gateway import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = httpx.Response | Exception
OK = httpx.Response(200, json={"data": {}})
LOST = httpx.RemoteProtocolError("gone")


def busy(status: int = 503, after: str | None = None) -> httpx.Response:
    headers = {} if after is None else {"Retry-After": after}
    return httpx.Response(status, json=refusal("busy", "Later."), headers=headers)


class Calls:
    """One call against these answers, by a client that waits at most so often."""

    def __init__(self, *answers: Answer, attempts: int = 4) -> None:
        self.answers = list(answers)
        self.sent: list[httpx.Request] = []
        self.waits: list[float] = []
        self.told: list[str] = []
        patience = Patience(attempts, self.waits.append, self.told.append)
        transport = httpx.MockTransport(self._answer)
        self.api = Api("http://gateway", "token", transport=transport, patience=patience)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("idempotency-key") for request in self.sent]


def test_a_change_is_sent_again_with_the_same_key_until_it_is_answered() -> None:
    calls = Calls(busy(after="2"), LOST, busy(429, "7"), OK)
    calls.api.post("/v1/x", {"a": 1})
    assert calls.waits == [2, 1, 7]
    assert len(set(calls.keys)) == 1
    assert {request.content for request in calls.sent} == {b'{"a":1}'}
    assert calls.told[0] == "answered 503 busy: trying again in 2 s (2 of 4)"
    assert "RemoteProtocolError" in calls.told[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda api: api.post("/x"),
        lambda api: api.put("/x", {}),
        lambda api: api.patch("/x", {}),
        lambda api: api.delete("/x"),
    ],
)
def test_two_changes_never_share_a_key(change: Callable[[Api], Any]) -> None:
    calls = Calls(OK, OK)
    change(calls.api)
    change(calls.api)
    assert None not in calls.keys
    assert len(set(calls.keys)) == 2


def test_reading_needs_no_key_and_waits_too() -> None:
    calls = Calls(busy(429, "1"), OK)
    calls.api.get("/v1/x")
    assert calls.keys == [None, None]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 500, 502])
def test_what_waiting_does_not_mend_is_told_at_once(status: int) -> None:
    calls = Calls(busy(status, "1"))
    with pytest.raises(ApiError):
        calls.api.post("/v1/x")
    assert calls.waits == []


def test_a_stack_that_does_not_run_is_not_waited_for_but_one_that_restarts_is() -> None:
    calls = Calls(httpx.ConnectError("x"))
    with pytest.raises(UnreachableError):
        calls.api.post("/v1/x")
    calls = Calls(LOST, httpx.ConnectError("x"), OK)
    calls.api.post("/v1/x")
    assert calls.waits == [0.5, 1]


def test_it_ends_with_the_last_error() -> None:
    calls = Calls(*[busy(after="1")] * 4)
    with pytest.raises(ApiError, match="Later"):
        calls.api.post("/v1/x")
    assert calls.waits == [1, 1, 1]
    calls = Calls(LOST, attempts=1)
    with pytest.raises(UnreachableError):
        calls.api.post("/v1/x")
    assert calls.told == []


@pytest.mark.parametrize(
    ("after", "waits"), [("61", []), ("60", [60]), ("soon", [0.5]), (None, [0.5])]
)
def test_nobody_waits_longer_than_a_minute_or_for_what_is_no_number(
    after: str | None, waits: list[float]
) -> None:
    calls = Calls(busy(429, after), busy(), attempts=2)
    with pytest.raises(ApiError):
        calls.api.get("/v1/x")
    assert calls.waits == waits


def test_a_step_up_token_works_once_and_is_sent_once() -> None:
    calls = Calls(LOST)
    with pytest.raises(UnreachableError):
        calls.api.post("/admin/x", step_up="token")
    assert len(calls.sent) == 1


def test_who_looks_again_anyway_is_not_made_to_wait() -> None:
    calls = Calls(busy())
    with pytest.raises(ApiError):
        calls.api.at_once().get("/v1/x")
    assert calls.waits == []
