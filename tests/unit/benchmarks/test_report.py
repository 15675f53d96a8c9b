"""What would put a figure in the wrong place of a document, or lose the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.figures import Sample, Series
from benchmarks.plan import QUICK
from benchmarks.processes import Memory
from benchmarks.report import BEGIN, END, Results, grids, write_markdown
from benchmarks.sections import Section

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def results() -> Results:
    """One section with a limit, and memory."""
    series = Series("secrets created over REST", 8)
    series.add(Sample(500.0, 9.0, 12.5, {"kms": 0.1, "secrets": 0.4}), commits=1000.0)
    section = Section("creates", [series], 700, {"Decrypt": 2})
    memory = {"at rest": {"kms": Memory(1, 90.0, 60.0, 50.0)}}
    return Results(QUICK, {"processors": "2"}, [section], memory)


def test_every_row_has_a_cell_for_each_heading(results: Results) -> None:
    found = grids(results)
    assert [grid.title.partition(":")[0] for grid in found] == [
        "Creates", "Creates", "Calls of the customer's KMS and STS", "Memory, MiB",
    ]  # fmt: skip
    for grid in found:
        assert {len(row) for row in grid.rows} == {len(grid.headings)}


def test_figures_replace_figures_and_nothing_else(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_markdown(results, file)
    once = file.read_text(encoding="utf-8")
    write_markdown(results, file)
    assert file.read_text(encoding="utf-8") == once
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert "| secrets created over REST | 8 | 500 |" in once
    assert "| 0.500 |" in once


def test_a_document_without_a_place_for_figures_is_left_alone(
    results: Results, tmp_path: Path
) -> None:
    file = tmp_path / "performance.md"
    file.write_text("a document", encoding="utf-8")
    with pytest.raises(ValueError, match="no place"):
        write_markdown(results, file)
    assert file.read_text(encoding="utf-8") == "a document"
