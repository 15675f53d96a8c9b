"""What would make a figure say something that was not measured."""

from __future__ import annotations

import pytest

from benchmarks.figures import Sample, Series, percentile


def test_a_ratio_is_taken_within_a_repetition_and_not_between_medians() -> None:
    series = Series("creates", 8)
    # The machine was twice as fast in the second and third repetition, limit and all.
    for rate, limit in ((50.0, 100.0), (110.0, 200.0), (90.0, 200.0)):
        series.add(Sample(rate), commits=limit)
    assert series.ratio("commits") == 0.5
    assert series.rate == 90.0
    assert series.limit("commits") == 200.0
    assert series.spread == (50.0, 110.0)


def test_a_limit_missing_from_a_repetition_is_no_ratio() -> None:
    series = Series("creates", 8)
    series.add(Sample(1.0), commits=2.0)
    series.add(Sample(1.0))
    with pytest.raises(ValueError, match="shorter"):
        series.ratio("commits")


def test_percentiles_are_measured_values() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert percentile(ordered, 0.50) == 51.0
    assert percentile(ordered, 0.99) == 100.0
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) == 0.0


def test_a_series_without_latencies_shows_none() -> None:
    series = Series("rewraps")
    series.add(Sample(10.0, cpu_ms={"kms": 0.2}))
    series.add(Sample(30.0, cpu_ms={"kms": 0.4, "secrets": 1.0}))
    assert series.p99_ms is None
    assert series.cpu_ms == {"kms": pytest.approx(0.3), "secrets": 0.5}
    assert series.as_json()["each"] == [10.0, 30.0]
