"""Samples of the load generators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.children import ask
from benchmarks.figures import Sample
from benchmarks.processes import cpu_ms_each

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.plan import Plan
    from benchmarks.processes import Families

GENERATOR: Final = "load generator"
FILL_SECONDS: Final = 900.0


class VoidMeasurementError(Exception):
    """Not every operation of a sample succeeded, so its rate says nothing."""


def http_sample(
    plan: Plan, clients: int, order: Mapping[str, Any], families: Families | None = None
) -> tuple[Sample, int]:
    """Creates at `clients` connections, and how many there were in all.

    `order` has base_url, api_key and prefix; with a path, that is asked for instead. Raises
    VoidMeasurementError.
    """
    return _sample("http_load", plan, clients, order, families)


def grpc_sample(
    plan: Plan, clients: int, order: Mapping[str, Any], families: Families | None = None
) -> tuple[Sample, int]:
    """Accesses with `clients` calls in flight, and how many there were in all.

    `order` has target, tenant_id, prefix and the three files of the identity. Raises VoidMeasurementError.
    """
    return _sample("grpc_load", plan, clients, {**order, "accessed": plan.accessed}, families)


def key_sample(
    plan: Plan, clients: int, order: Mapping[str, Any], families: Families | None = None
) -> tuple[Sample, int]:
    """Data keys with `clients` calls in flight, and how many there were in all.

    `order` has target, tenant_id, rpc and the three files of the identity. Raises VoidMeasurementError.
    """
    return _sample("key_load", plan, clients, order, families)


def fill(plan: Plan, count: int, order: Mapping[str, Any]) -> None:
    """Create exactly `count` secrets by 32 connections, `<prefix>-0` and on. Raises as above."""
    whole = {
        **order,
        "value": plan.value,
        "clients": max(plan.clients),
        "count": count,
        "seconds": FILL_SECONDS,
    }
    done = _checked(ask("http_load", whole, seconds=FILL_SECONDS))
    if done["total"] != count:
        raise VoidMeasurementError(f"{done['total']} of {count} secrets were created in time")


def _sample(
    module: str, plan: Plan, clients: int, order: Mapping[str, Any], families: Families | None
) -> tuple[Sample, int]:
    whole = {
        **order,
        "value": plan.value,
        "clients": clients,
        "seconds": plan.seconds,
        "warm_up": plan.warm_up,
    }
    before = families.cpu_seconds() if families else {}
    done = _checked(ask(module, whole, seconds=plan.seconds + plan.warm_up))
    after = families.cpu_seconds() if families else {}
    cpu_ms = cpu_ms_each(before, after, done["total"])
    cpu_ms[GENERATOR] = done["cpu_seconds"] * 1e3 / max(done["total"], 1)
    return Sample(done["rate"], done["p50_ms"], done["p99_ms"], cpu_ms), done["total"]


def _checked(done: dict[str, Any]) -> dict[str, Any]:
    if done["failures"]:
        raise VoidMeasurementError(f"failed: {done['failures']}")
    return done
