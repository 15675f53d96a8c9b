"""What kms counts, beside the calls it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.common.telemetry import Metrics


class KmsMetrics:
    """Implements the port Meter, and watches what the process holds. No label names a tenant."""

    def __init__(self, metrics: Metrics) -> None:
        self._registry = metrics.registry
        self._provider_calls = Counter(
            "coffer_kms_provider_calls_total",
            "Calls to KMS providers, by operation and outcome (ok or a reason).",
            ("provider", "operation", "outcome"),
            registry=self._registry,
        )

    def count(self, provider: str, operation: str, outcome: str) -> None:
        """See Meter."""
        self._provider_calls.labels(provider, operation, outcome).inc()

    def watch(
        self,
        *,
        cached_keys: Callable[[], int],
        sealed: Callable[[], int],
        refused: Callable[[], int],
    ) -> None:
        """Show these numbers as they are when asked."""
        for name, text, number in (
            ("coffer_kms_cached_master_keys", "Open master keys in memory.", cached_keys),
            ("coffer_kms_sealed_bindings", "Bindings this process knows as sealed.", sealed),
            (
                "coffer_kms_refused_versions",
                "Master-key versions refused alone, of bindings that can be used.",
                refused,
            ),
        ):
            gauge = Gauge(name, text, registry=self._registry)
            gauge.set_function(lambda number=number: float(number()))  # type: ignore[misc]
