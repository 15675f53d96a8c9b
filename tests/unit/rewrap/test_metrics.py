"""Figures of leases: shown while they are worked on, gone afterwards, and without a tenant."""

from __future__ import annotations

import uuid

from prometheus_client import CollectorRegistry, generate_latest

from services.rewrap.metrics import KEPT_LEASES, RewrapMetrics
from services.rewrap.model import BatchDone, Hold, LeaseRef, Progress, Report

REF = LeaseRef(uuid.uuid4(), 42)


def report(progress: Progress) -> Report:
    """Of a process that holds four lanes."""
    return Report(
        throttled=False,
        ours=frozenset(Hold(lane, 1) for lane in range(4)),
        free=0,
        progress=progress,
    )


def test_a_lease_is_shown_while_it_is_worked_on_and_for_some_minutes_after() -> None:
    registry = CollectorRegistry()
    now = [1000.0]
    metrics = RewrapMetrics(registry, clock=lambda: now[0])
    metrics.lease_seen(REF, report(Progress(400, 0, 1, 1001, 200.0)))
    value = registry.get_sample_value
    for name, expected in (
        ("keys_done", 400),
        ("keys_failed", 1),
        ("keys_total", 1001),
        ("rate", 200),
        ("seconds_left", 3),
        ("lanes_held", 4),
    ):
        assert value(f"coffer_rewrap_lease_{name}", {"lease": "42"}) == expected
    assert str(REF.tenant_id) not in generate_latest(registry).decode()
    metrics.lease_left(REF)
    now[0] += 200
    metrics.lease_seen(REF, report(Progress(900, 0, 1, 1001, 200.0)))
    metrics.lease_left(REF)
    now[0] += 200
    metrics.live_leases({"paused": 1})
    for name, expected in (("keys_done", 900), ("rate", 0), ("lanes_held", 0)):
        assert value(f"coffer_rewrap_lease_{name}", {"lease": "42"}) == expected
    assert value("coffer_rewrap_live_leases", {"state": "paused"}) == 1
    now[0] += 200
    metrics.live_leases({})
    metrics.lease_left(REF)
    assert 'lease="42"' not in generate_latest(registry).decode()


def test_a_rotation_of_all_tenants_leaves_few_series() -> None:
    registry = CollectorRegistry()
    metrics = RewrapMetrics(registry)
    for lease in range(KEPT_LEASES + 50):
        ref = LeaseRef(REF.tenant_id, lease)
        metrics.lease_seen(ref, report(Progress(1, 0, 0, 1, None)))
        metrics.lease_left(ref)
    assert generate_latest(registry).decode().count("coffer_rewrap_lease_rate{") == KEPT_LEASES


def test_keys_that_were_verified_are_not_counted_as_moved() -> None:
    registry = CollectorRegistry()
    metrics = RewrapMetrics(registry)
    metrics.batch_done(BatchDone(20, 3, 1, None, True), 0.1)
    metrics.batch_done(BatchDone(0, 0, 1, None, True, verified=16), 0.1)
    counted = {
        result: registry.get_sample_value("coffer_rewrap_keys_total", {"result": result})
        for result in ("moved", "skipped", "failed", "verified")
    }
    assert counted == {"moved": 20, "skipped": 3, "failed": 2, "verified": 16}
