"""What callers get while a tenant's data keys are rewrapped all the time, beside what they get without.

Callers of that tenant and of another, one kind of request at a time, in turns with and without the rewrap.
The same, shorter, on a stack where a rewrap gives way to nobody: what giving way gains, and costs.
"""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.figures import Sample, Series
from benchmarks.ground import running_ground
from benchmarks.limits import standing_limits
from benchmarks.rewrapping import Rewrapping
from benchmarks.rewraps import Rewraps
from benchmarks.sections import Bench, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.ground import BenchTenant
    from benchmarks.plan import Plan

KEYS: Final = 300_000
"""Of the tenant that is rewrapped, at most."""
CLIENTS: Final = (8, 32)
RUNS: Final = 3
"""At most: each is eight pairs of samples."""
SECONDS: Final = 2.0
WARM_UP: Final = 1.0
"""So long a rewrap may need to notice the callers."""
LEAD_SECONDS: Final = 0.5
ALONE_SECONDS: Final = 4.0
KINDS: Final = {"create": "creates", "access": "AccessSecret"}
OFF: Final = {"COFFER_REWRAP_SLOWDOWN_PERCENT": "0"}
SAME: Final = "the tenant rewrapped"
OTHER: Final = "another tenant"


@dataclass(frozen=True, slots=True)
class Pair:
    """One kind of request of one tenant by so many clients: how it did beside a rewrap, and without."""

    beside: Series
    p50: list[float]
    p99: list[float]

    def add(self, beside: Sample, alone: Sample) -> None:
        """A pair of samples."""
        self.beside.add(beside, alone=alone.rate)
        self.p50.append((beside.p50_ms or 0.0) / (alone.p50_ms or 1.0))
        self.p99.append((beside.p99_ms or 0.0) / (alone.p99_ms or 1.0))

    @property
    def fact(self) -> str:
        """The ratios of the latencies, median of the pairs."""
        return f"p50 {median(self.p50):.2f}, p99 {median(self.p99):.2f}"


class Foreground:
    """The callers and the rewrap of one stack. `words` tells it from the other one."""

    def __init__(self, bench: Bench, rewrapping: Rewrapping, words: str) -> None:
        self._bench = bench
        self._rewrapping = rewrapping
        self._words = words
        self._pairs: list[Pair] = []
        self.section = Section("courtesy", [])

    def measure(
        self, tenants: Mapping[str, BenchTenant], clients: tuple[int, ...], runs: int
    ) -> None:
        """All kinds, tenants and numbers of clients, in an order of its own each time."""
        cases: list[tuple[Pair, str, BenchTenant, int]] = []
        for kind, what in KINDS.items():
            for whose, tenant in tenants.items():
                for n in clients:
                    pair = Pair(Series(f"{what} of {whose}, {self._words}", n), [], [])
                    cases.append((pair, kind, tenant, n))
        for _ in range(runs):
            for pair, kind, tenant, n in random.sample(cases, len(cases)):
                self._one(pair, kind, tenant, n)
        self._pairs += [case[0] for case in cases]

    def _one(self, pair: Pair, kind: str, tenant: BenchTenant, n: int) -> None:
        work = getattr(self._bench, kind)
        samples: dict[bool, Sample] = {}
        for beside in random.sample((False, True), 2):
            with self._going_on() if beside else contextlib.nullcontext():
                samples[beside], total = work(tenant, n)
                self.section.operations += total
        pair.add(samples[True], samples[False])

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        with self._rewrapping.going_on():
            time.sleep(LEAD_SECONDS)
            yield

    def alone(self) -> Series:
        """The rewrap without any caller."""
        series = Series(f"data keys rewrapped without callers, {self._words}")
        with self._rewrapping.going_on():
            time.sleep(ALONE_SECONDS)
        series.add(Sample(self._rewrapping.rates.pop()))
        return series

    def finish(self, alone: Series) -> Section:
        """What was found."""
        meanwhile = Series(f"data keys rewrapped beside them, {self._words}")
        for rate in self._rewrapping.rates:
            meanwhile.add(Sample(rate), alone=alone.rate)
        self.section.series += [*(pair.beside for pair in self._pairs), meanwhile, alone]
        self.section.facts |= {
            f"{pair.beside.name}, {pair.beside.clients} clients: latency beside / alone": pair.fact
            for pair in self._pairs
        }
        return self.section


def measure(plan: Plan, tell: Callable[[str], None]) -> Section:
    """With courtesy every case; without it those of the other tenant at fewer clients."""
    plan = replace(
        plan,
        runs=min(plan.runs, RUNS),
        seconds=min(plan.seconds, SECONDS),
        warm_up=min(plan.warm_up * 2, WARM_UP),
        accessed=min(plan.accessed, 200),
        keys=min(plan.keys * 15, KEYS),
    )
    clients = CLIENTS if plan.runs > 1 else CLIENTS[:1]
    polite = _on_a_stack(plan, tell, {}, "giving way", clients)
    rude = _on_a_stack(plan, tell, OFF, "giving way to nobody", CLIENTS[:1])
    polite.series += rude.series
    polite.facts |= rude.facts
    polite.operations += rude.operations
    return polite


def _on_a_stack(
    plan: Plan,
    tell: Callable[[str], None],
    settings: Mapping[str, str],
    words: str,
    clients: tuple[int, ...],
) -> Section:
    with (
        running_ground(settings=settings) as ground,
        standing_limits(ground.stack.admin_dsn, plan, ground.pki) as limits,
    ):
        bench = Bench(ground, limits, plan, tell)
        tell(f"courtesy, {words}: storing {plan.keys:,} keys")
        rewrapped = Rewraps(ground, limits, plan, tell).stocked("bench-moved", plan.keys).tenant
        bench.stock(rewrapped, plan.accessed)
        tenants = {OTHER: bench.stocked("bench-beside", plan.accessed)}
        if not settings:
            tenants[SAME] = rewrapped
        foreground = Foreground(bench, Rewrapping(ground, rewrapped), words)
        alone = foreground.alone()
        tell(f"courtesy, {words}: {plan.runs} runs")
        foreground.measure(tenants, clients, plan.runs)
        return foreground.finish(alone)
