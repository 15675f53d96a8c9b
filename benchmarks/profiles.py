"""Where the time goes: each service under cProfile while one kind of work runs, summed by package.

The services are the product's own, started through a wrapper. Profiling slows Python code down, most of all
short functions: shares are to be read, rates are not.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pstats
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from benchmarks import keys
from benchmarks.children import ChildError
from benchmarks.ground import running_ground
from benchmarks.limits import standing_limits
from benchmarks.rewraps import Rewraps
from benchmarks.sections import Bench
from cli.local.programs import product_parts
from cli.local.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from benchmarks.ground import Ground
    from benchmarks.plan import Plan
    from cli.local.programs import Parts

DUMP_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.05
LIBRARIES: Final = "site-packages/"
OURS: Final = ("services/", "gateway/", "protos/gen/")
TOP_PACKAGES: Final = 9
TOP_FUNCTIONS: Final = 12
OUTSIDE: Final = "event loop and gRPC in C, other threads"


def profile(
    plan: Plan,
    chosen: Sequence[str],
    folder: Path,
    tell: Callable[[str], None],
    console: Console,
) -> None:
    """Profile the chosen sections at the most clients, each on a stack of its own; print shares."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        if name in {"limits", "sealing", "courtesy", "neighbours", "certificates"}:
            continue
        tell(f"profiling {name}")
        files = {service: folder.resolve() / f"{name}-{service}.pstats" for service in SERVICES}
        spent = _measure(plan, name, files, tell)
        for service, file in files.items():
            console.print(_packages(name, service, file, spent[service]))
            console.print(_functions(file))


def profiled_parts(files: dict[str, Path]) -> Parts:
    """The product's parts, each service wrapped so that it writes its profile to its file."""
    parts = product_parts()
    argv = dict(parts.argv)
    for service, file in files.items():
        *python, module = argv[service]
        argv[service] = (*python, "benchmarks.profiled", str(file), module)
    return dataclasses.replace(parts, argv=argv)


def _measure(
    plan: Plan, name: str, files: dict[str, Path], tell: Callable[[str], None]
) -> dict[str, float]:
    """Do the work once; processor seconds of each process meanwhile."""
    for file in files.values():
        file.unlink(missing_ok=True)
    with (
        running_ground(profiled_parts(files)) as ground,
        standing_limits(ground.stack.admin_dsn, plan, ground.pki) as limits,
    ):
        if name == "rewraps":
            rewraps = Rewraps(ground, limits, plan, tell)
            stocked = rewraps.stocked("profile", plan.keys)
            work: Callable[[], object] = functools.partial(rewraps.rotate, stocked)
        else:
            work = _work(Bench(ground, limits, plan, tell), ground, plan, name)
        before = ground.families.cpu_seconds()
        _signal(ground, signal.SIGUSR1)
        work()
        after = ground.families.cpu_seconds()
        _signal(ground, signal.SIGUSR2)
        _wait_for(files.values())
    return {service: after[service] - before[service] for service in after}


def _work(bench: Bench, ground: Ground, plan: Plan, name: str) -> Callable[[], object]:
    clients = max(plan.clients)
    if name == "creates":
        tenant = ground.tenant("profile")
        return lambda: bench.create(tenant, clients)
    if name == "accesses":
        stocked = bench.stocked("profile", plan.accessed)
        return lambda: bench.access(stocked, clients)
    return lambda: keys.one_sample(ground, plan, ground.tenant("profile"), clients)


def _signal(ground: Ground, number: signal.Signals) -> None:
    for service in SERVICES:
        os.kill(ground.stack.pid(service), number)


def _wait_for(files: Any) -> None:
    limit = time.monotonic() + DUMP_SECONDS
    while not all(file.exists() for file in files):
        if time.monotonic() > limit:
            raise ChildError("a service did not write its profile")
        time.sleep(POLL_SECONDS)


def own_times(stats: dict[Any, Any]) -> dict[str, float]:
    """Own seconds by package, from the table of pstats (function -> calls, primitive, own, ...)."""
    times: defaultdict[str, float] = defaultdict(float)
    for (file, _line, function), (_calls, _primitive, own, *_rest) in stats.items():
        times[package(file, function)] += own
    return times


def package(file: str, function: str) -> str:
    """The package that a profiled function belongs to; ours down to the second level."""
    if file == "~":
        return _of_builtin(function)
    if LIBRARIES in file:
        return file.partition(LIBRARIES)[2].partition("/")[0].removesuffix(".py")
    for root in OURS:
        head, found, rest = file.rpartition(f"/{root}")
        if found and head:
            return f"{root}{rest.partition('/')[0]}"
    return f"python: {Path(file).parent.name}"


def _of_builtin(function: str) -> str:
    for word, name in (
        ("psycopg", "psycopg_binary (C)"),
        ("cryptography", "cryptography"),
        ("_rust", "cryptography"),
        ("_upb", "protobuf"),
        ("cygrpc", "grpc (C)"),
        ("uvloop", "uvloop"),
        ("httptools", "httptools"),
    ):
        if word in function:
            return name
    return "python: built in"


def _packages(name: str, service: str, file: Path, spent: float) -> Table:
    stats = _stats(file)
    times = own_times(stats)
    times[OUTSIDE] = max(spent - sum(times.values()), 0.0)
    whole = max(sum(times.values()), 1e-9)
    title = f"{name}, {service}: {spent:.2f} s of processor time"
    table = Table("Package", title=title, title_justify="left")
    table.add_column("Share", justify="right")
    for where, seconds in sorted(times.items(), key=lambda item: -item[1])[:TOP_PACKAGES]:
        table.add_row(where, f"{seconds / whole:.0%}")
    return table


def _functions(file: Path) -> Table:
    stats = _stats(file)
    table = Table("Own s", "Calls", "Function", title="Functions", title_justify="left")
    ordered = sorted(stats.items(), key=lambda item: -item[1][2])
    for (path, line, function), (_calls, primitive, own, *_rest) in ordered[:TOP_FUNCTIONS]:
        where = "" if path == "~" else f"{'/'.join(Path(path).parts[-3:])}:{line} "
        table.add_row(f"{own:.3f}", str(primitive), f"{where}{function}")
    return table


def _stats(file: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = pstats.Stats(str(file), stream=sys.stderr).stats  # type: ignore[attr-defined]
    return found
