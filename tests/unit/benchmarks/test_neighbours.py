"""What would make the figure beside hanging neighbours mean nothing."""

from __future__ import annotations

import pytest

from benchmarks.load import VoidMeasurementError
from benchmarks.neighbours import check

MET = {"ok": 100, "create 503": 50, "access UNAVAILABLE": 50}


def test_a_load_that_met_hanging_clouds_counts() -> None:
    check({"outcomes": MET})
    check({"outcomes": {"create 503": 100, "access UNAVAILABLE": 100}})


@pytest.mark.parametrize(
    "outcomes",
    [
        pytest.param({"ok": 200}, id="no cloud hung"),
        pytest.param({**MET, "create 500": 1}, id="a defect"),
        pytest.param({**MET, "access DEADLINE_EXCEEDED": 1}, id="a call that was never answered"),
    ],
)
def test_any_other_load_makes_the_measurement_void(outcomes: dict[str, int]) -> None:
    with pytest.raises(VoidMeasurementError):
        check({"outcomes": outcomes})
