"""What rewrap counts: batches, keys, leases. No label holds a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from services.common.telemetry import LATENCY_BUCKETS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from services.rewrap.model import BatchDone


class RewrapMetrics:
    """The port `Observer`, in a process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._keys = Counter(
            "coffer_rewrap_keys_total",
            "Data keys dealt with by this process: moved, skipped or failed.",
            ("result",),
            registry=registry,
        )
        self._batches = Histogram(
            "coffer_rewrap_batch_seconds",
            "Seconds per batch, from asking secrets to its answer.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._held = Gauge(
            "coffer_rewrap_leases_held", "Leases this process works on now.", registry=registry
        )
        self._runs = Counter(
            "coffer_rewrap_runs_total",
            "Holds on a lease by this process, by how they ended.",
            ("outcome",),
            registry=registry,
        )
        self._live = Gauge(
            "coffer_rewrap_live_leases",
            "Live leases of all tenants, as this process last saw them.",
            ("state",),
            registry=registry,
        )
        self._recovered = Counter(
            "coffer_rewrap_recovered_jobs_total",
            "Jobs of dead workers that this process put back into the queue.",
            registry=registry,
        )

    def batch_done(self, done: BatchDone, seconds: float) -> None:
        """As the port says."""
        self._keys.labels("moved").inc(done.done)
        self._keys.labels("skipped").inc(done.skipped)
        self._keys.labels("failed").inc(done.failed)
        self._batches.observe(seconds)

    def run_began(self) -> None:
        """As the port says."""
        self._held.inc()

    def run_ended(self, outcome: str) -> None:
        """As the port says."""
        self._held.dec()
        self._runs.labels(outcome).inc()

    def live_leases(self, by_state: dict[str, int]) -> None:
        """As the port says."""
        for state, count in by_state.items():
            self._live.labels(state).set(count)

    def recovered(self, jobs: int) -> None:
        """As the port says."""
        self._recovered.inc(jobs)
