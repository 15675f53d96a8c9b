"""What breaks when the demo shows something as done that was not."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from rich.console import Console

from cli.demo.certificates import ServerCertificate
from cli.demo.display import Display
from cli.demo.lanes import each
from cli.demo.moving import Move, lease_seconds, watch_rewrap
from cli.demo.reading import require_few_calls
from cli.demo.rest import Answer, Rest
from cli.demo.stage import Stage
from cli.demo.steps import ClaimError, InterruptedByPersonError, Stop
from cli.demo.storing import Stored, random_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LEASE = {
    "id": 7,
    "state": "completed",
    "total": 2,
    "done": 2,
    "skipped": 0,
    "failed": 0,
    "rate_per_second": None,
    "eta_seconds": None,
    "last_error": None,
}
NEW = {"version": 2, "status": "active", "data_keys": 2, "wrap_method": "customer_kms"}
OLD = {"version": 1, "status": "retired", "data_keys": 0, "wrap_method": "global"}
ROW = {"name": "A", "value_version": 1, "updated_at": "2026-01-01T00:00:00.000Z"}
MOVE = Move(version=2, former=1, lease_id=7)
CERTIFICATE = ServerCertificate("chain", "key", "CN=a", "00")


def server(
    lease: dict[str, Any] = LEASE,
    keys: Iterable[dict[str, Any]] = (NEW, OLD),
    rows: Iterable[dict[str, Any]] = (ROW,),
) -> Callable[[httpx.Request], httpx.Response]:
    """A gateway that always answers the same."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/admin/tenant-kms/rewraps/7":
            return httpx.Response(200, json=lease)
        if path == "/admin/tenant-kms":
            return httpx.Response(200, json={"keys": list(keys)})
        meta = {"total_pages": 1}
        return httpx.Response(200, json={"data": list(rows), "meta": meta})

    return answer


def stage(answer: Callable[[httpx.Request], httpx.Response], stop: Stop | None = None) -> Stage:
    """A stage with nothing behind it but that gateway."""
    rest = Rest(
        "http://gateway", "key", "jwt", connections=1, transport=httpx.MockTransport(answer)
    )
    display = Display(Console(file=io.StringIO()), steps=1)
    absent = cast("Any", None)
    nobody = (absent, absent, absent, absent, absent)
    return Stage(absent, rest, *nobody, display, stop or Stop(), 5.0)


STORED = Stored({"A": "value"}, CERTIFICATE, {"A": ROW})


def test_a_complete_rewrap_is_shown_as_one() -> None:
    assert watch_rewrap(stage(server()), MOVE, STORED)["done"] == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": "failed", "last_error": "a damaged row"}, "a damaged row"),
        ({"state": "superseded"}, "superseded"),
        ({"done": 1}, "'done': 1"),
        ({"failed": 1}, "'failed': 1"),
        ({"total": 1}, "'total': 1"),
    ],
)
def test_a_rewrap_that_left_something_is_not(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ClaimError, match=why):
        watch_rewrap(stage(server(lease=LEASE | change)), MOVE, STORED)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ((NEW, OLD | {"data_keys": 1}), "version 1 is retired with 1 data keys"),
        ((NEW, OLD | {"status": "active"}), "version 1 is active"),
        ((NEW | {"data_keys": 1}, OLD), "version 2 is active with 1 data keys"),
        ((NEW | {"wrap_method": "global"}, OLD), "wrapped by global"),
    ],
)
def test_nor_one_whose_census_is_not_zero(keys: tuple[dict[str, Any], ...], why: str) -> None:
    with pytest.raises(ClaimError, match=why):
        watch_rewrap(stage(server(keys=keys)), MOVE, STORED)


@pytest.mark.parametrize(
    "change", [{"value_version": 2}, {"updated_at": "2026-01-01T00:00:00.001Z"}]
)
def test_nor_one_that_touched_a_row(change: dict[str, Any]) -> None:
    with pytest.raises(ClaimError, match="1 secrets changed"):
        watch_rewrap(stage(server(rows=[ROW | change])), MOVE, STORED)


def test_nor_one_that_lost_a_row() -> None:
    with pytest.raises(ClaimError, match="0 secrets are listed"):
        watch_rewrap(stage(server(rows=[])), MOVE, STORED)


def test_a_rewrap_that_never_ends_can_be_interrupted() -> None:
    stop = Stop()

    def answer(request: httpx.Request) -> httpx.Response:
        stop.asked.set()
        return httpx.Response(200, json=LEASE | {"state": "running", "done": 1})

    with pytest.raises(InterruptedByPersonError):
        watch_rewrap(stage(answer, stop), MOVE, STORED)


def test_the_time_of_a_rewrap_is_the_services_own() -> None:
    times = {"started_at": "2026-03-15T12:00:00.000Z", "finished_at": "2026-03-15T12:00:01.250Z"}
    assert lease_seconds(times) == 1.25


def test_asking_the_cloud_for_each_secret_is_found_out() -> None:
    calls = {"Encrypt": 3, "Decrypt": 6, "AssumeRole": 1}
    require_few_calls(calls, changes=2, seconds=8.0, ttl=5.0)
    with pytest.raises(ClaimError, match="the key was asked 2003 times"):
        require_few_calls(calls | {"Decrypt": 2000}, changes=2, seconds=8.0, ttl=5.0)
    with pytest.raises(ClaimError, match="never asked"):
        require_few_calls({"AssumeRole": 1}, changes=2, seconds=8.0, ttl=5.0)


def test_an_answer_of_another_kind_is_told_with_its_reason() -> None:
    error = {"type": "step_up_required", "message": "say it again", "reason": "used"}
    answer = Answer("POST /x", 403, {"error": error}, {})
    assert answer.expect(403, "step_up_required")
    with pytest.raises(ClaimError, match=r"POST /x answered 403 step_up_required \(used\): say"):
        answer.expect(503, "tenant_sealed")
    with pytest.raises(ClaimError, match="403 forbidden"):
        answer.expect(403, "forbidden")


def test_what_is_no_json_object_is_an_answer_all_the_same() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>")

    with pytest.raises(ClaimError, match="answered 502, not 200"):
        stage(broken).rest.get("/v1/secrets").expect(200)


def test_one_failure_among_many_is_not_lost() -> None:
    meter = Display(Console(file=io.StringIO()), steps=1).meter("done", 100)

    def work(number: int) -> None:
        if number == 57:
            raise ClaimError("57")

    with pytest.raises(ClaimError, match="57"), meter as shown:
        each(range(100), work, Stop(), shown)


def test_no_two_values_are_equal_and_none_is_in_the_repr() -> None:
    values = random_values(500)
    assert len(set(values.values())) == 500
    assert any(not value.isascii() for value in values.values())
    shown = repr(replace(STORED, values=values))
    assert not any(value in shown for value in values.values())
