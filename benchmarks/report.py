"""The figures as tables, for a terminal and for a document, and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from benchmarks.figures import Series
    from benchmarks.plan import Plan
    from benchmarks.processes import Memory
    from benchmarks.sections import Section

LIMITS: Final = {
    "commits": "single-row commits/s",
    "three_inserts": "three-insert transactions/s",
    "generator": "generator's own limit/s",
    "echo": "bare echo rpcs/s",
    "framed": "echo in our frame/s",
    "loop": "bare loop/s",
    "sql": "inside SQL (LR)/s",
    "small": "of 100 bytes/s",
    "one": "by one/s",
    "alone": "alone/s",
    "empty": "in an empty database/s",
    "bare": "library alone/s",
    "fields": "library and the same facts/s",
}
BEGIN: Final = "<!-- figures: written by `python -m benchmarks --markdown` -->"
END: Final = "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: the first column is words, the others are figures."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class Results:
    """Everything that was measured in one run of the program."""

    plan: Plan
    machine: Mapping[str, str]
    sections: list[Section] = field(default_factory=list)
    memory: dict[str, dict[str, Memory]] = field(default_factory=dict)
    """`at rest` and `at the end`, by process."""

    def as_json(self) -> dict[str, object]:
        """For `--json`: the single repetitions included."""
        return {
            "plan": asdict(self.plan),
            "machine": dict(self.machine),
            "sections": {
                section.name: {
                    "series": [series.as_json() for series in section.series],
                    "operations": section.operations,
                    "cloud_calls": section.cloud_calls,
                    "seconds": section.seconds,
                    "facts": section.facts,
                    "times": [times.as_json() for times in section.times],
                }
                for section in self.sections
            },
            "memory_mib": {
                when: {name: memory.as_json() for name, memory in found.items()}
                for when, found in self.memory.items()
            },
        }


def show(results: Results, console: Console) -> None:
    """Print every table."""
    console.print(_circumstances(results), "\n", sep="")
    for grid in grids(results):
        table = Table(title=grid.title, title_justify="left")
        for index, heading in enumerate(grid.headings):
            table.add_column(heading, justify="right" if index else "left")
        for row in grid.rows:
            table.add_row(*row)
        console.print(table)


def write_markdown(results: Results, file: Path) -> None:
    """Put the tables into a document, between the two marks BEGIN and END, which must be there.

    Raises ValueError when they are not.
    """
    text = file.read_text(encoding="utf-8")
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{file} has no place for figures ({BEGIN} ... {END})")
    parts = [BEGIN, _circumstances(results), *map(_markdown, grids(results)), END]
    file.write_text(before + "\n\n".join(parts) + after, encoding="utf-8")


def grids(results: Results) -> list[Grid]:
    """Every table that has something in it."""
    found = []
    for section in results.sections:
        if section.series:
            found.append(_rates(section))
        if section.times:
            found.append(_times(section))
        if section.facts:
            found.append(_facts(section))
        if any(len(series.cpu_ms) > 1 for series in section.series):
            found.append(_processor(section))
    called = [section for section in results.sections if section.operations]
    if called:
        found.append(_cloud_calls(called))
    if results.memory:
        found.append(_memory(results.memory))
    return found


def _circumstances(results: Results) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    plan = results.plan
    return (
        f"Medians of {plan.runs} interleaved runs, samples of {plan.seconds:g} s, {plan.keys:,} data keys."
        f" Machine: {machine}."
    )


def _markdown(grid: Grid) -> str:
    rule = ["---", *("---:" for _ in grid.headings[1:])]
    lines = [f"### {grid.title}", ""]
    lines += [f"| {' | '.join(row)} |" for row in (grid.headings, rule, *grid.rows)]
    return "\n".join(lines)


def _rates(section: Section) -> Grid:
    limits = list(dict.fromkeys(name for series in section.series for name in series.limits))
    headings = ["What", "Clients", "Per second", "Slowest, fastest run", "p50 ms", "p99 ms"]
    for name in limits:
        headings += [LIMITS[name], "ratio"]
    rows = []
    for series in section.series:
        spread = ", ".join(number(rate) for rate in series.spread)
        row = [series.name, _clients(series), number(series.rate), spread]
        row += [_ms(series.p50_ms), _ms(series.p99_ms)]
        for name in limits:
            known = name in series.limits
            row += [number(series.limit(name)), f"{series.ratio(name):.3f}"] if known else ["", ""]
        rows.append(tuple(row))
    return Grid(section.name.capitalize(), tuple(headings), tuple(rows))


def _times(section: Section) -> Grid:
    headings = ("What", "Shortest", "Median", "Longest", "Never longer than", "longest / bound")
    rows = []
    for times in section.times:
        each = sorted(times.seconds)
        found = (each[0], median(each), each[-1], times.bound)
        words = (f"{seconds:.2f}" for seconds in found)
        rows.append((times.name, *words, f"{each[-1] / times.bound:.2f}"))
    return Grid(f"{section.name.capitalize()}: seconds", headings, tuple(rows))


def _facts(section: Section) -> Grid:
    title = f"{section.name.capitalize()}: what else was found"
    return Grid(title, ("What", "Found"), tuple(section.facts.items()))


def _processor(section: Section) -> Grid:
    names = sorted({name for series in section.series for name in series.cpu_ms})
    rows = []
    for series in section.series:
        if series.cpu_ms:
            each = [f"{series.cpu_ms.get(name, 0.0):.3f}" for name in names]
            whole = f"{sum(series.cpu_ms.values()):.3f}"
            rows.append((series.name, _clients(series), *each, whole))
    title = f"{section.name.capitalize()}: processor time per operation, ms"
    return Grid(title, ("What", "Clients", *names, "all"), tuple(rows))


def _cloud_calls(sections: list[Section]) -> Grid:
    rows = []
    for section in sections:
        calls = ", ".join(f"{name} {count}" for name, count in section.cloud_calls.items())
        lasted = "" if section.seconds is None else f"{section.seconds:.0f}"
        rows.append((section.name, f"{section.operations:,}", lasted, calls or "none"))
    headings = ("During", "Operations", "Seconds", "Calls")
    return Grid("Calls of the customer's KMS and STS", headings, tuple(rows))


def _memory(memory: dict[str, dict[str, Memory]]) -> Grid:
    headings = ["Process"]
    for when in memory:
        headings += [f"{kind} {when}" for kind in ("processes", "RSS", "PSS", "USS")]
    rows = []
    for name in next(iter(memory.values())):
        row = [name]
        for found in memory.values():
            one = found[name]
            row += [str(one.processes), *(f"{mib:.0f}" for mib in (one.rss, one.pss, one.uss))]
        rows.append(tuple(row))
    return Grid("Memory, MiB", tuple(headings), tuple(rows))


def number(rate: float) -> str:
    """Three figures are all that such a measurement carries."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _clients(series: Series) -> str:
    return "" if series.clients is None else str(series.clients)
