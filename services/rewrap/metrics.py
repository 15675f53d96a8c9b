"""What rewrap counts: batches, keys, leases. No label holds a tenant."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge, Histogram

from services.common.telemetry import LATENCY_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from services.rewrap.model import BatchDone, LeaseRef, Report


_LEASE: Final = {
    "keys_done": "Data keys of a lease moved so far, by all its workers.",
    "keys_failed": "Data keys of a lease that could not be moved or opened.",
    "keys_total": "Data keys that a lease had to move when it began.",
    "rate": "Data keys per second that a lease moves, then verifies, by all its workers.",
    "seconds_left": "Seconds that a lease needs yet at its rate, verification included; NaN while unknown.",
    "lanes_held": "Lanes of a lease that this process works on.",
}

_LEFT: Final = {"rate": 0.0, "seconds_left": math.nan, "lanes_held": 0.0}
"""Of a lease that this process does not work on any more; its counts stay."""
KEPT_SECONDS: Final = 300.0
"""Long enough for a scrape to see how it ended, and for somebody to look."""
KEPT_LEASES: Final = 100
"""A rotation of all tenants leaves no more series behind."""


class RewrapMetrics:
    """The port `Observer`, in a process's registry."""

    def __init__(
        self, registry: CollectorRegistry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._seen: set[str] = set()
        self._left: dict[str, float] = {}
        self._keys = Counter(
            "coffer_rewrap_keys_total",
            "Data keys dealt with by this process: moved, skipped, failed or verified.",
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
        self._lease = {
            name: Gauge(f"coffer_rewrap_lease_{name}", text, ("lease",), registry=registry)
            for name, text in _LEASE.items()
        }
        self._duty = Gauge(
            "coffer_rewrap_duty",
            "The part of full speed that this process works at, out of regard for other calls.",
            registry=registry,
        )
        self._duty.set(1)
        self._held_back = Counter(
            "coffer_rewrap_held_back_seconds_total",
            "Seconds that batches were held back, out of regard for other calls.",
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
        self._keys.labels("verified").inc(done.verified)
        self._batches.observe(seconds)

    def run_began(self) -> None:
        """As the port says."""
        self._held.inc()

    def run_ended(self, outcome: str) -> None:
        """As the port says."""
        self._held.dec()
        self._runs.labels(outcome).inc()

    def lease_seen(self, ref: LeaseRef, report: Report) -> None:
        """As the port says."""
        progress, left = report.progress, report.seconds_left
        values = {
            "keys_done": progress.done,
            "keys_failed": progress.failed,
            "keys_total": progress.total or 0,
            "rate": progress.rate_per_second or 0.0,
            "seconds_left": math.nan if left is None else left,
            "lanes_held": len(report.ours),
        }
        lease = str(ref.lease_id)
        self._seen.add(lease)
        self._left.pop(lease, None)
        for name, value in values.items():
            self._lease[name].labels(lease).set(value)

    def lease_left(self, ref: LeaseRef) -> None:
        """As the port says: what it last was is shown for `KEPT_SECONDS`, of the last `KEPT_LEASES`."""
        lease = str(ref.lease_id)
        if lease not in self._seen:
            return
        for name, value in _LEFT.items():
            self._lease[name].labels(lease).set(value)
        self._left.pop(lease, None)
        self._left[lease] = self._clock()
        self._forget()

    def _forget(self) -> None:
        before = self._clock() - KEPT_SECONDS
        while self._left:
            lease, left_at = next(iter(self._left.items()))
            if left_at > before and len(self._left) <= KEPT_LEASES:
                return
            del self._left[lease]
            self._seen.discard(lease)
            for gauge in self._lease.values():
                gauge.remove(lease)

    def live_leases(self, by_state: dict[str, int]) -> None:
        """As the port says."""
        self._forget()
        for state, count in by_state.items():
            self._live.labels(state).set(count)

    def courtesy_shown(self, duty: float, held_seconds: float) -> None:
        """How hard this process works, of 1, and for how long a batch is held back."""
        self._duty.set(duty)
        self._held_back.inc(held_seconds)

    def recovered(self, jobs: int) -> None:
        """As the port says."""
        self._recovered.inc(jobs)
