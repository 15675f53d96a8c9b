"""What is measured, as values: samples of a rate, and their ratio to a limit of the same repetition."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition. `cpu_ms` is processor time per operation, by process; latencies where known."""

    rate: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Series:
    """The repetitions of one thing at one number of clients (None: it has no clients).

    `limits` are the limits' rates, by name, of the same repetitions in the same order.
    """

    name: str
    clients: int | None = None
    samples: list[Sample] = field(default_factory=list)
    limits: dict[str, list[float]] = field(default_factory=dict)

    def add(self, sample: Sample, **limits: float) -> None:
        """One more repetition and the limits that were measured beside it."""
        self.samples.append(sample)
        for name, rate in limits.items():
            self.limits.setdefault(name, []).append(rate)

    @property
    def rate(self) -> float:
        """Median, per second."""
        return median(sample.rate for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """Slowest and fastest repetition, per second."""
        rates = [sample.rate for sample in self.samples]
        return min(rates), max(rates)

    def limit(self, name: str) -> float:
        """Median of a limit, per second."""
        return median(self.limits[name])

    def ratio(self, name: str) -> float:
        """Median of the ratios of each repetition: it need not be the quotient of the medians."""
        pairs = zip(self.samples, self.limits[name], strict=True)
        return median(sample.rate / rate for sample, rate in pairs)

    @property
    def p50_ms(self) -> float | None:
        """Median of the repetitions' medians."""
        return _median(sample.p50_ms for sample in self.samples)

    @property
    def p99_ms(self) -> float | None:
        """Median of the repetitions' 99th percentiles."""
        return _median(sample.p99_ms for sample in self.samples)

    @property
    def cpu_ms(self) -> dict[str, float]:
        """Median processor time per operation, by process."""
        names = {name for sample in self.samples for name in sample.cpu_ms}
        return {
            name: median(sample.cpu_ms.get(name, 0.0) for sample in self.samples)
            for name in sorted(names)
        }

    def as_json(self) -> dict[str, object]:
        """Everything, the single repetitions included."""
        return {
            "name": self.name,
            "clients": self.clients,
            "per_second": self.rate,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "cpu_ms_per_operation": self.cpu_ms,
            "limits": {
                name: {"per_second": self.limit(name), "ratio": self.ratio(name), "each": each}
                for name, each in self.limits.items()
            },
            "each": [sample.rate for sample in self.samples],
        }


@dataclass(slots=True)
class Times:
    """The repetitions of something that takes seconds, and the time that it must not take longer than."""

    name: str
    bound: float
    seconds: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Everything."""
        return {"name": self.name, "bound": self.bound, "each": self.seconds}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values; 0 for none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _median(values: object) -> float | None:
    known = [value for value in values if value is not None]  # type: ignore[attr-defined]
    return median(known) if known else None
