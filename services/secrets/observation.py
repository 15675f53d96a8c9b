"""`ports.Observer` on Prometheus and structlog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from services.common.identity import Call
    from services.common.telemetry import Metrics

GROUP_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128)

_log = structlog.get_logger(__name__)


class Observation:
    """Counts what happens inside; logs only what a person must look at."""

    def __init__(self, metrics: Metrics) -> None:
        registry = metrics.registry
        self._groups = Histogram(
            "coffer_secrets_group_items",
            "Calls served together in one transaction, by kind.",
            ("kind",),
            buckets=GROUP_BUCKETS,
            registry=registry,
        )
        self._made = Counter(
            "coffer_secrets_data_keys_fetched_total", "Data keys from kms.", registry=registry
        )
        self._taken = Counter(
            "coffer_secrets_data_keys_used_total",
            "Data keys used, by whether one was in stock.",
            ("from_stock",),
            registry=registry,
        )
        self._wiped = Counter(
            "coffer_secrets_data_keys_wiped_total", "Data keys wiped unused.", registry=registry
        )
        self._reader_failures = Counter(
            "coffer_secrets_certificate_reader_failures_total",
            "Certificates refused because reading them failed by a fault of ours.",
            registry=registry,
        )
        self._damaged = Counter(
            "coffer_secrets_cannot_open_total",
            "Stored data keys and values that did not open.",
            ("where",),
            registry=registry,
        )
        self._slowdown = Gauge(
            "coffer_secrets_foreground_slowdown",
            "What creates, writes and reads of values take now, divided by what they take while no rewrap"
            " is at work; 0: there are none.",
            registry=registry,
        )

    def watch(self, slowdown: Callable[[], float]) -> None:
        """Show how callers fare, as `Foreground.slowdown` tells it."""
        self._slowdown.set_function(slowdown)

    def grouped(self, kind: str, calls: Sequence[Call]) -> None:
        """As `ports.Observer.grouped`. The group's line is what leads from its first call to the others."""
        self._groups.labels(kind).observe(len(calls))
        if not calls:
            return
        structlog.contextvars.bind_contextvars(request_id=calls[0].request_id)
        if len(calls) > 1:
            _log.info("group", kind=kind, request_ids=[call.request_id for call in calls])

    def keys_made(self, count: int) -> None:
        """As `ports.Observer.keys_made`."""
        self._made.inc(count)

    def key_taken(self, *, from_stock: bool) -> None:
        """As `ports.Observer.key_taken`."""
        self._taken.labels(str(from_stock).lower()).inc()

    def keys_wiped(self, count: int) -> None:
        """As `ports.Observer.keys_wiped`."""
        self._wiped.inc(count)

    def reader_failed(self, kind: str) -> None:
        """As `ports.Observer.reader_failed`."""
        self._reader_failures.inc()
        _log.error("certificate_reader_failed", kind=kind)

    def cannot_open(
        self, tenant_id: UUID, data_key_id: UUID, where: str, *, call: Call | None = None
    ) -> None:
        """As `ports.Observer.cannot_open`."""
        self._damaged.labels(where).inc()
        facts = {"tenant_id": str(tenant_id), "data_key_id": str(data_key_id), "where": where}
        if call is not None:
            facts["request_id"] = call.request_id
        _log.error("cannot_open", **facts)
