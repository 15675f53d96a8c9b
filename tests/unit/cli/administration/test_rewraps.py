"""Watching a rewrap: until it ends, through restarts, and no longer than asked."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cli.api import Api, ApiError, UnreachableError
from cli.rewraps.pace import pace
from cli.rewraps.watching import Watch
from tests.fakes.cli_gateway import lease, refusal

Answer = httpx.Response | Exception


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def ok(**changes: object) -> httpx.Response:
    return httpx.Response(200, json=lease(**changes))


def watch(answers: list[Answer], timeout: float | None = None, lease_id: int | None = 42) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    time = Time()
    shown: list[dict[str, Any]] = []
    with Api("http://gateway", "token", transport=httpx.MockTransport(answer)) as api:
        watching = Watch(api, time.clock, time.sleep)
        return watching.until_the_end(lease_id, timeout, shown.append), shown, time.now


@pytest.mark.parametrize("state", ["completed", "failed", "superseded", "cancelled"])
def test_it_ends_when_the_lease_ends(state: str) -> None:
    last, shown, _ = watch([ok(state="enqueued"), ok(), ok(state="waiting"), ok(state=state)])
    assert last["state"] == state
    assert [row["state"] for row in shown] == ["enqueued", "running", "waiting", state]


def test_a_restarting_stack_is_waited_for() -> None:
    unavailable = httpx.Response(503, json=refusal("unavailable", "Later."))
    last, _, _ = watch([ok(), httpx.ConnectError("x"), unavailable, ok(state="completed")])
    assert last["state"] == "completed"


def test_a_stack_that_stays_away_is_not_waited_for_for_ever() -> None:
    with pytest.raises(UnreachableError):
        watch([ok(), httpx.ConnectError("x")])


def test_a_refusal_ends_it_at_once() -> None:
    with pytest.raises(ApiError):
        watch([ok(), httpx.Response(404, json=refusal("not_found", "No."))])


def test_a_time_limit_is_kept() -> None:
    last, _, elapsed = watch([ok()], timeout=2)
    assert last["state"] == "running"
    assert elapsed == pytest.approx(2)


def test_the_newest_is_watched_when_none_is_named() -> None:
    page = httpx.Response(200, json={"rewraps": [lease(id=9, state="completed")]})
    assert watch([page], lease_id=None)[0]["id"] == 9
    with pytest.raises(ApiError, match="no rewrap"):
        watch([httpx.Response(200, json={"rewraps": []})], lease_id=None)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "20 keys/s, 0:03 left"),
        ({"rate_per_second": 9800.0, "eta_seconds": 3725}, "9,800 keys/s, 1:02:05 left"),
        ({"eta_seconds": None}, "20 keys/s"),
        ({"rate_per_second": None}, "verifying, 0:03 left"),
        ({"rate_per_second": None, "eta_seconds": None}, ""),
        ({"state": "waiting", "last_error": "Sealed."}, "Sealed."),
    ],
)
def test_rate_and_time_left_are_shown_only_when_known(
    changes: dict[str, object], text: str
) -> None:
    assert pace(lease(**changes)) == text
