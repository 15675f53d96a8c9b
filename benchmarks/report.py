"""The figures on a terminal, and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from benchmarks.figures import Series
    from benchmarks.plan import Plan
    from benchmarks.processes import Memory
    from benchmarks.sections import Section

LIMITS: Final = {
    "commits": "single-row commits",
    "three_inserts": "three inserts, one transaction",
    "generator": "what the generator can send",
    "echo": "bare echo rpc",
    "loop": "bare loop",
    "sql": "inside SQL, no crypto",
}


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
                }
                for section in self.sections
            },
            "memory_mib": {
                when: {name: memory.as_json() for name, memory in found.items()}
                for when, found in self.memory.items()
            },
        }


def show(results: Results, console: Console) -> None:
    """Print every table that has something in it."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    console.print(f"{machine}; median of {results.plan.runs} interleaved runs\n")
    for section in results.sections:
        console.print(_rates(section))
        if any(series.limits for series in section.series):
            console.print(_ratios(section))
        if any(series.cpu_ms for series in section.series):
            console.print(_processor(section))
    called = [section for section in results.sections if section.operations]
    if called:
        console.print(_cloud_calls(called))
    if results.memory:
        console.print(_memory(results.memory))


def _rates(section: Section) -> Table:
    table = Table("What", title=f"{section.name}: per second", title_justify="left")
    for heading in ("Clients", "Median", "Slowest", "Fastest", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for series in section.series:
        slowest, fastest = (number(rate) for rate in series.spread)
        latencies = (_ms(series.p50_ms), _ms(series.p99_ms))
        table.add_row(
            series.name, _clients(series), number(series.rate), slowest, fastest, *latencies
        )
    return table


def _ratios(section: Section) -> Table:
    table = Table("What", title=f"{section.name}: against the limits", title_justify="left")
    for heading in ("Clients", "Limit", "Limit per second", "Ratio"):
        table.add_column(heading, justify="left" if heading == "Limit" else "right")
    for series in section.series:
        for name in series.limits:
            table.add_row(
                series.name,
                _clients(series),
                LIMITS[name],
                number(series.limit(name)),
                f"{series.ratio(name):.3f}",
            )
    return table


def _processor(section: Section) -> Table:
    names = sorted({name for series in section.series for name in series.cpu_ms})
    title = f"{section.name}: processor time per operation, ms"
    table = Table("What", title=title, title_justify="left")
    for heading in ("Clients", *names, "all"):
        table.add_column(heading, justify="right")
    for series in section.series:
        if series.cpu_ms:
            each = [f"{series.cpu_ms.get(name, 0.0):.3f}" for name in names]
            whole = f"{sum(series.cpu_ms.values()):.3f}"
            table.add_row(series.name, _clients(series), *each, whole)
    return table


def _cloud_calls(sections: list[Section]) -> Table:
    table = Table("During", title="Calls of the customer's KMS and STS", title_justify="left")
    table.add_column("Operations", justify="right")
    table.add_column("Calls")
    for section in sections:
        calls = ", ".join(f"{name} {count}" for name, count in section.cloud_calls.items())
        table.add_row(section.name, f"{section.operations:,}", calls or "none")
    return table


def _memory(memory: dict[str, dict[str, Memory]]) -> Table:
    table = Table("Process", title="Memory, MiB", title_justify="left")
    for when in memory:
        for kind in ("processes", "RSS", "PSS", "USS"):
            table.add_column(f"{when}: {kind}", justify="right")
    for name in next(iter(memory.values())):
        cells = []
        for found in memory.values():
            one = found[name]
            cells += [str(one.processes), *(f"{mib:.0f}" for mib in (one.rss, one.pss, one.uss))]
        table.add_row(name, *cells)
    return table


def number(rate: float) -> str:
    """Three figures are all that such a measurement carries."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _clients(series: Series) -> str:
    return "" if series.clients is None else str(series.clients)
