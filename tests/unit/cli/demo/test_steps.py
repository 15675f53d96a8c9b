"""What breaks when a step that failed counts as held, or hides which one it was."""

from __future__ import annotations

import threading

import pytest

from cli.demo.report import as_table, to_json
from cli.demo.steps import (
    ClaimError,
    InterruptedByPersonError,
    Recorder,
    StepFailedError,
    StepRecord,
    Stop,
    require,
)


class Heard:
    """Remembers what it was told to announce."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[bool] = []

    def begin(self, number: int, title: str) -> None:
        self.begun.append(f"{number} {title}")

    def end(self, record: StepRecord) -> None:
        self.ended.append(record.ok)


def test_a_claim_that_does_not_hold_names_its_step() -> None:
    recorder = Recorder(Heard())
    with recorder.step("first", "the first"):
        pass
    with (
        pytest.raises(StepFailedError, match="the step second did not hold: two, not three"),
        recorder.step("second", "the second"),
    ):
        require(False, "two, not three")
    assert recorder.failed is not None
    assert recorder.failed.name == "second"


def test_a_defect_of_ours_fails_the_step_too() -> None:
    recorder = Recorder(Heard())
    body: dict[str, str] = {}
    with pytest.raises(StepFailedError, match="KeyError: 'data'"), recorder.step("a", "A"):
        body["data"]
    assert [record.ok for record in recorder.records] == [False]


def test_an_interruption_is_no_failure_of_the_product() -> None:
    heard, stop = Heard(), Stop()
    stop.asked.set()
    with pytest.raises(InterruptedByPersonError), Recorder(heard).step("a", "A"):
        stop.check()
    assert not heard.ended


def test_a_wait_ends_as_soon_as_the_end_is_asked_for() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.asked.set).start()
    with pytest.raises(InterruptedByPersonError):
        stop.sleep(3600)


def test_what_is_announced_is_what_was_recorded() -> None:
    heard = Heard()
    recorder = Recorder(heard)
    with recorder.step("a", "first thing"):
        pass
    with pytest.raises(StepFailedError), recorder.step("b", "second thing"):
        raise ClaimError("no")
    assert heard.begun == ["1 first thing", "2 second thing"]
    assert heard.ended == [True, False]


def test_a_report_of_half_the_steps_is_not_ok() -> None:
    held = StepRecord("a", "A", ok=True)
    assert to_json([held, held], planned=2, secrets=1, seconds=1)["ok"] is True
    assert to_json([held], planned=2, secrets=1, seconds=1)["ok"] is False
    assert to_json([], planned=0, secrets=1, seconds=1)["failed_step"] is None


def test_a_script_finds_the_step_that_failed_and_its_figures() -> None:
    failed = StepRecord("b", "B", seconds=1.23456)
    failed.tell("three, not two", found=3)
    report = to_json([StepRecord("a", "A", ok=True), failed], planned=2, secrets=7, seconds=2.34567)
    assert (report["ok"], report["failed_step"], report["secrets"]) == (False, "b", 7)
    assert report["seconds"] == 2.35
    assert report["steps"][1] == {
        "name": "b",
        "title": "B",
        "ok": False,
        "seconds": 1.23,
        "detail": "three, not two",
        "counts": {"found": 3},
    }


def test_the_table_has_a_row_for_each_step_and_one_for_the_sum() -> None:
    records = [StepRecord("a", "A", ok=True), StepRecord("b", "B", detail="[bold]not markup[/]")]
    assert as_table(records, 3.0).row_count == 3
