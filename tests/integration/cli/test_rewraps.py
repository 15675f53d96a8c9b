"""Steering rewraps at the command line: the right rewrap, the right call, once, and a question first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.exits import Exit
from tests.fakes.cli_gateway import LOST, lease, refusal

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer

PATH = "/admin/tenant-kms/rewraps"


def newest(**changes: object) -> tuple[int, Any]:
    page = {"rewraps": [lease(**changes)], "total": 1, "page": 1, "per_page": 1, "total_pages": 1}
    return 200, page


def changes(gateway: Gateway) -> list[tuple[str, str, Any]]:
    return [(one.method, one.path, one.body) for one in gateway.changes]


@pytest.mark.parametrize(
    ("words", "method", "path", "body", "told"),
    [
        (["pause"], "POST", "42/pause", {}, "rewrap 42 paused: 40 of 100 moved"),
        (["resume", "7"], "POST", "7/resume", {}, "rewrap 42 goes on"),
        (["cancel", "--yes"], "POST", "42/cancel", {}, "rewrap 42 cancelled"),
        (["throttle", "1500"], "PATCH", "42", {"throttle_per_second": 1500}, "at most 1,500 keys"),
        (["throttle", "7", "none"], "PATCH", "7", {"throttle_per_second": None}, "as fast as it"),
    ],
)
def test_a_rewrap_is_steered_by_its_id_or_as_the_newest(
    coffer: Coffer, gateway: Gateway, words: list[str], method: str, path: str, body: Any, told: str
) -> None:
    gateway.answers |= {f"GET {PATH}": newest(), f"{method} {PATH}/{path}": (200, lease())}
    result = coffer("rewraps", *words)
    assert result.exit_code == Exit.OK, result.output
    assert told in result.stdout
    assert changes(gateway) == [(method, f"{PATH}/{path}", body)]


@pytest.mark.parametrize("words", [["pause"], ["resume"], ["cancel", "--yes"], ["throttle", "5"]])
def test_a_rewrap_that_has_ended_is_not_taken_for_the_live_one(
    coffer: Coffer, gateway: Gateway, words: list[str]
) -> None:
    gateway.answers[f"GET {PATH}"] = newest(state="completed")
    result = coffer("rewraps", *words)
    assert result.exit_code == Exit.REFUSED
    assert "42, is completed" in result.stderr
    assert gateway.changes == []


def test_cancelling_asks_first_and_says_what_stays(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers |= {f"GET {PATH}": newest(), f"GET {PATH}/42": (200, lease())}
    result = coffer("rewraps", "cancel", stdin="y\n")
    assert result.exit_code == Exit.FAILED
    assert "--yes" in result.stderr
    assert gateway.changes == []


def test_a_rewrap_is_started_and_watched(coffer: Coffer, gateway: Gateway) -> None:
    made = lease(reason="manual", throttle_per_second=500)
    gateway.answers |= {
        f"POST {PATH}": (201, made),
        f"GET {PATH}/42": (200, lease(state="completed", done=100)),
    }
    result = coffer("rewraps", "start", "--throttle", "500", "--watch")
    assert result.exit_code == Exit.OK, result.output
    assert "rewrap 42 to version 2 has begun" in result.stdout
    assert "100 moved" in result.stdout
    assert changes(gateway) == [("POST", PATH, {"throttle_per_second": 500})]
    assert coffer.json("rewraps", "start") == made
    assert gateway.bodies[-1] == {}


def test_a_start_whose_answer_is_lost_is_sent_again_as_the_same_request(
    coffer: Coffer, gateway: Gateway
) -> None:
    gateway.answers[f"POST {PATH}"] = [LOST, (201, lease())]
    assert coffer("rewraps", "start").exit_code == Exit.OK
    keys = {one.headers["idempotency-key"] for one in gateway.changes}
    assert (len(gateway.changes), len(keys)) == (2, 1)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((409, refusal("rewrap_running", "Rewrap 41 has not ended.")), Exit.REFUSED),
        ((503, refusal("unavailable", "Later.")), Exit.FAILED),
    ],
)
def test_a_refused_start_is_told(coffer: Coffer, gateway: Gateway, answer: Any, code: Exit) -> None:
    gateway.answers[f"POST {PATH}"] = answer
    result = coffer("rewraps", "start", "--no-wait")
    assert result.exit_code == code
    assert answer[1]["error"]["message"] in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["throttle"],
        ["throttle", "0"],
        ["throttle", "1000001"],
        ["throttle", "fast"],
        ["throttle", "x", "5"],
        ["throttle", "1", "2", "3"],
        ["start", "--throttle", "0"],
        ["pause", "x"],
    ],
)
def test_a_wrong_command_line_asks_nobody(
    coffer: Coffer, gateway: Gateway, words: list[str]
) -> None:
    assert coffer("rewraps", *words).exit_code == Exit.USAGE
    assert gateway.requests == []


def test_the_list_shows_rate_and_time_left(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers[f"GET {PATH}"] = newest()
    shown = coffer("rewraps", "list").stdout
    assert "40 of 100" in shown
    assert "20 keys/s, 0:03 left" in shown
