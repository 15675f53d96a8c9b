"""`python -m benchmarks`: the figures of docs/performance.md, measured here and now."""

from __future__ import annotations

import json
import signal
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benchmarks import certificates, foreground, limits_alone, machine, neighbours, sealing, sizes
from benchmarks.children import ChildError
from benchmarks.ground import ApiError, running_ground
from benchmarks.keys import measure as measure_keys
from benchmarks.limits import standing_limits
from benchmarks.load import VoidMeasurementError
from benchmarks.pgbench import PgbenchError
from benchmarks.plan import FULL, QUICK, SECTIONS, USUAL, Plan
from benchmarks.profiles import profile
from benchmarks.report import Results, show, write_markdown
from benchmarks.rewraps import Rewraps
from benchmarks.sections import Bench
from cli.local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FAULTS = (ChildError, ApiError, VoidMeasurementError, PgbenchError, LocalError)
WIDTH = 180


def main(  # noqa: PLR0917 - what typer reads the options from
    quick: Annotated[
        bool, typer.Option("--quick", help="Seconds instead of minutes; figures mean little.")
    ] = False,
    runs: Annotated[
        int | None, typer.Option(min=1, max=50, help="Repetitions, whose median counts.")
    ] = None,
    keys: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Data keys to rewrap.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, max=60, help="Length of one sample.")
    ] = None,
    ttl: Annotated[
        float | None, typer.Option(min=1, max=300, help="Sealing: seconds a key may be used.")
    ] = None,
    retry: Annotated[
        float | None, typer.Option(min=0.1, max=30, help="Sealing: seconds between tries.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(SECTIONS)}; may be repeated.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write everything to this file.")
    ] = None,
    markdown_file: Annotated[
        Path | None,
        typer.Option("--markdown", help="Also put the tables into this document, at its marks."),
    ] = None,
    profile_dir: Annotated[
        Path | None,
        typer.Option("--profile", help="Instead: profile each service, pstats files go here."),
    ] = None,
) -> None:
    """Measure creates, accesses, rewraps and data keys of a stack of its own, each beside its limit; and how
    long the kill switch takes.

    Everything runs on loopback and in a folder below the system's temporary one (TMPDIR says which disk),
    with fsync on, and is gone afterwards. Takes about seven minutes; with --quick half a minute.

    Example: python -m benchmarks --only rewraps --runs 3

    Exit status: 0 measured, 1 something failed, so that there is no figure.
    """
    unknown = sorted(set(only or ()) - set(SECTIONS))
    if unknown:
        raise typer.BadParameter(f"no section {unknown[0]}", param_hint="--only")
    chosen = tuple(only or USUAL)
    plan = make_plan(quick=quick, runs=runs, keys=keys, seconds=seconds, ttl=ttl, retry=retry)
    signal.signal(signal.SIGTERM, _leave)
    told = Console(stderr=True, highlight=False)
    try:
        if profile_dir is not None:
            profile(plan, chosen, profile_dir, told.log, Console(width=WIDTH))
            return
        results = run(plan, chosen, told.log)
    except FAULTS as error:
        told.print(f"benchmarks: {error}", markup=False)
        raise typer.Exit(1) from None
    show(results, Console(width=WIDTH))
    if markdown_file is not None:
        write_markdown(results, markdown_file)
    if json_file is not None:
        json_file.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")


def make_plan(
    *,
    quick: bool,
    runs: int | None = None,
    keys: int | None = None,
    seconds: float | None = None,
    ttl: float | None = None,
    retry: float | None = None,
) -> Plan:
    """The usual plan, or the quick one, with what was said on the command line."""
    usual = QUICK if quick else FULL
    return Plan(
        runs=runs or usual.runs,
        seconds=seconds or usual.seconds,
        warm_up=usual.warm_up,
        keys=keys or usual.keys,
        accessed=usual.accessed,
        ttl=ttl or usual.ttl,
        retry=retry or usual.retry,
    )


def run(plan: Plan, chosen: tuple[str, ...], tell: Callable[[str], None]) -> Results:
    """Measure the chosen sections. Raises one of FAULTS; nothing stays behind either way."""
    results = Results(plan, machine.facts())
    if "limits" in chosen:
        results.sections.append(limits_alone.measure(plan, tell))
    alone = ("limits", "sealing", "courtesy", "neighbours", "certificates", "sizes")
    served = [name for name in SECTIONS if name in chosen and name not in alone]
    if served:
        _run_served(results, served, tell)
    if "sealing" in chosen:
        results.sections.append(sealing.measure(plan, tell))
    if "courtesy" in chosen:
        results.sections.append(foreground.measure(plan, tell))
    if "neighbours" in chosen:
        results.sections.append(neighbours.measure(plan, tell))
    if "certificates" in chosen:
        results.sections.extend(certificates.measure(plan, tell))
    if "sizes" in chosen:
        results.sections.append(sizes.measure(plan, tell))
    return results


def _run_served(results: Results, names: Sequence[str], tell: Callable[[str], None]) -> None:
    tell("starting the stack")
    with (
        running_ground() as ground,
        standing_limits(ground.stack.admin_dsn, results.plan, ground.pki) as limits,
    ):
        results.memory["at rest"] = ground.families.memory()
        bench = Bench(ground, limits, results.plan, tell)
        for name in names:
            if name == "keys":
                section = measure_keys(ground, results.plan, tell)
            elif name == "rewraps":
                section = Rewraps(ground, limits, results.plan, tell).measure()
            else:
                section = getattr(bench, name)()
            results.sections.append(section)
        results.memory["at the end"] = ground.families.memory()


def _leave(_number: int, _frame: object) -> None:
    # The same way out as Ctrl-C, so that every child is stopped and every folder removed.
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
