"""What a tenant gets while the clouds of 24 others hang, beside what it gets alone.

The others are spread over the three stand-ins, and a small fixed load goes on for them: what that costs in
processor time counts. Keys live shortly and sealed ones are tried again soon, in both situations, so that
calls to clouds that hang are under way all the time.
"""

from __future__ import annotations

import contextlib
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.children import ask
from benchmarks.figures import Series
from benchmarks.ground import ApiError, BenchTenant, running_ground
from benchmarks.limits import standing_limits
from benchmarks.load import VoidMeasurementError
from benchmarks.sections import Bench, Section
from cli import tenancy
from cli.local.demo_tenant import CONSUMER, SCOPES
from cli.local.devcloud import ready_file
from devcloud.customers import PROVIDERS, CloudCustomer, Clouds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.figures import Sample
    from benchmarks.ground import Ground
    from benchmarks.plan import Plan

HANGING: Final = 24
RATE: Final = 50.0
"""Requests per second for all of them together."""
CLIENTS: Final = 8
SETTINGS: Final = {
    "COFFER_KMS_CUSTOMER_TTL_SECONDS": "3",
    "COFFER_KMS_SEALED_RETRY_SECONDS": "0.5",
}
LEAD_SECONDS: Final = 4.0
"""From the moment the clouds hang: keys that are open serve for a while yet."""
START_SECONDS: Final = 1.5
"""Of a load generator."""
BACK_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.2
SERVED: Final = "ok"
"""From keys that were open when the clouds began to hang; there may be none."""
REFUSED: Final = frozenset({"create 503", "access UNAVAILABLE"})
KINDS: Final = {"create": "secrets created over REST", "access": "AccessSecret over gRPC"}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A tenant whose cloud is going to hang."""

    tenant: BenchTenant
    customer: CloudCustomer


def measure(plan: Plan, tell: Callable[[str], None]) -> Section:
    """Both kinds of requests of a healthy tenant: alone, and while others hang, in mixed order."""
    alone = {kind: Series(f"{what}, alone", CLIENTS) for kind, what in KINDS.items()}
    beside = {kind: Series(f"{what}, others hang", CLIENTS) for kind, what in KINDS.items()}
    section = Section("neighbours", [*alone.values(), *beside.values()])
    with (
        running_ground(settings=SETTINGS) as ground,
        standing_limits(ground.stack.admin_dsn, plan, ground.pki) as limits,
        Clouds.from_ready_file(ready_file(ground.stack.directory).path) as clouds,
    ):
        bench = Bench(ground, limits, plan, tell)
        healthy = bench.stocked("bench-healthy", plan.accessed)
        tell(f"neighbours: connecting {HANGING} tenants")
        others = [_neighbour(ground, clouds, number) for number in range(HANGING)]
        work = {
            "create": lambda: bench.create(healthy, CLIENTS),
            "access": lambda: bench.access(healthy, CLIENTS),
        }
        for run in range(1, plan.runs + 1):
            tell(f"neighbours: run {run} of {plan.runs}")
            samples: dict[bool, dict[str, tuple[Sample, int]]] = {}
            for hang in random.sample((False, True), 2):
                with _loaded(ground, plan, others) if hang else contextlib.nullcontext():
                    samples[hang] = {kind: work[kind]() for kind in random.sample([*work], 2)}
            for kind in KINDS:
                sample, _ = samples[False][kind]
                alone[kind].add(sample)
                beside[kind].add(samples[True][kind][0], alone=sample.rate)
    return section


def _neighbour(ground: Ground, clouds: Clouds, number: int) -> Neighbour:
    dsn, slug = ground.stack.admin_dsn, f"bench-hanging-{number}"
    tenant_id = tenancy.create_tenant(dsn, slug, slug, "enterprise")
    api_key = tenancy.create_api_key(dsn, tenant_id, "benchmark", SCOPES)
    tenancy.grant_consumer(dsn, tenant_id, CONSUMER)
    customer = clouds.customer(PROVIDERS[number % len(PROVIDERS)], tenant_id)
    tenant = BenchTenant(tenant_id, customer.key, api_key)
    ground.admin(tenant, "POST", "/admin/tenant-kms", body=customer.body)
    ground.create(tenant, "stored", "value")
    return Neighbour(tenant, customer)


@contextlib.contextmanager
def _loaded(ground: Ground, plan: Plan, others: list[Neighbour]) -> Iterator[None]:
    """Let the clouds hang, with the load on; then answer, until everybody is back.

    Raises VoidMeasurementError when the load met anything but what a hanging cloud explains.
    """
    seconds = LEAD_SECONDS + len(KINDS) * (plan.seconds + plan.warm_up + START_SECONDS)
    order = {
        **ground.consumer(),
        "target": ground.stack.credentials.grpc.secrets,
        "base_url": ground.stack.credentials.base_url,
        "tenants": [{"id": one.tenant.id, "api_key": one.tenant.api_key} for one in others],
        "rate": RATE,
        "seconds": seconds,
    }
    for number, one in enumerate(others):
        # Some hang at login, some at the key, in each cloud.
        at_login = number // len(PROVIDERS) % 2 == 0
        one.customer.hang(login=at_login, key=not at_login)
    try:
        with ThreadPoolExecutor(1) as thread:
            loading = thread.submit(ask, "neighbour_load", order, seconds=seconds)
            time.sleep(LEAD_SECONDS)
            yield
            check(loading.result())
    finally:
        for one in others:
            one.customer.heal()
        _wait_until_back(ground, others)


def check(done: Mapping[str, Any]) -> None:
    """Raise VoidMeasurementError unless both kinds were refused with 503, and the others served."""
    outcomes = set(done["outcomes"])
    if outcomes - {SERVED} != REFUSED:
        raise VoidMeasurementError(
            f"the load on tenants whose clouds hang ended as {done['outcomes']}"
        )


def _wait_until_back(ground: Ground, others: list[Neighbour]) -> None:
    until = time.monotonic() + BACK_SECONDS
    for one in others:
        while ground.admin(one.tenant, "GET", "/admin/tenant-kms")["config"]["sealed_since"]:
            if time.monotonic() > until:
                raise ApiError("a tenant whose cloud answers again is still sealed")
            time.sleep(POLL_SECONDS)
