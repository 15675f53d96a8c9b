"""Counts and latencies of requests, with labels that cannot grow without bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.http import Response

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_OTHER: Final = "OTHER"


class RequestMetrics:
    """The gateway's metrics. `route` is a template of the contract, never a path that was sent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "coffer_gateway_requests",
            "HTTP requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "coffer_gateway_request_seconds",
            "From the head of the request to its answer, body and rpc included.",
            ("method", "route"),
            registry=self.registry,
        )
        self._process: Collector = ProcessCollector(registry=self.registry)
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        known = method if method in _METHODS else _OTHER
        counter = self._counters.get((known, route, status))
        if counter is None:
            counter = self._requests.labels(known, route, str(status))
            self._counters[known, route, status] = counter
        counter.inc()
        timer = self._timers.get((known, route))
        if timer is None:
            timer = self._timers[known, route] = self._seconds.labels(known, route)
        timer.observe(seconds)


class MetricsPage:
    """`/metrics` in the Prometheus text format."""

    path = "/metrics"

    def __init__(self, metrics: RequestMetrics) -> None:
        self._registry = metrics.registry

    async def answer(self) -> Response:
        """The current values."""
        content_type = (b"content-type", CONTENT_TYPE_LATEST.encode("ascii"))
        return Response(200, (content_type,), generate_latest(self._registry))
