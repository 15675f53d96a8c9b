"""What is measured, each beside its limits: the limit and the thing, again and again, in mixed order."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import load
from benchmarks.figures import Sample, Series, Times
from benchmarks.ground import made_since

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.ground import BenchTenant, Ground
    from benchmarks.limits import Limits
    from benchmarks.plan import Plan


@dataclass(slots=True)
class Section:
    """The figures of one section, how many operations it did and what it asked of the cloud.

    `times` are things that are measured in seconds and not per second, `facts` whatever else was found.
    """

    name: str
    series: list[Series]
    operations: int = 0
    cloud_calls: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    times: list[Times] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


class Bench:
    """Runs sections on one ground. `tell` is told what is going on."""

    def __init__(
        self, ground: Ground, limits: Limits, plan: Plan, tell: Callable[[str], None]
    ) -> None:
        self._ground = ground
        self._limits = limits
        self._plan = plan
        self._tell = tell

    def creates(self) -> Section:
        """POST /v1/secrets, beside single-row commits and three-row transactions of the database."""
        series = {n: Series("secrets created over REST", n) for n in self._plan.clients}
        section = Section("creates", list(series.values()))
        before = self._ground.cloud_calls()
        tenant = self._ground.tenant("bench-creates")
        for run, clients in rounds(self._plan):
            self._tell(f"creates: run {run} of {self._plan.runs}, {clients} clients")
            limits = {
                name: self._limits.transactions(name, clients)
                for name in ("commits", "three_inserts")
            }
            limits["generator"] = self._limits.floor(clients).rate
            sample, total = self.create(tenant, clients)
            series[clients].add(sample, **limits)
            section.operations += total
        section.cloud_calls = made_since(before, self._ground.cloud_calls())
        return section

    def accesses(self) -> Section:
        """AccessSecret, beside the bare rpc."""
        series = {n: Series("AccessSecret over gRPC", n) for n in self._plan.clients}
        section = Section("accesses", list(series.values()))
        before = self._ground.cloud_calls()
        tenant = self.stocked("bench-accesses", self._plan.accessed)
        for run, clients in rounds(self._plan):
            self._tell(f"accesses: run {run} of {self._plan.runs}, {clients} in flight")
            echo = self._limits.echo(clients).rate
            sample, total = self.access(tenant, clients)
            series[clients].add(sample, echo=echo)
            section.operations += total
        section.cloud_calls = made_since(before, self._ground.cloud_calls())
        return section

    def stocked(self, slug: str, count: int) -> BenchTenant:
        """A new tenant with `count` secrets, `stock-0` and on."""
        tenant = self._ground.tenant(slug)
        self.stock(tenant, count)
        return tenant

    def stock(self, tenant: BenchTenant, count: int) -> None:
        """Give a tenant `count` secrets, `stock-0` and on."""
        load.fill(self._plan, count, self._rest(tenant, "stock"))

    def create(self, tenant: BenchTenant, clients: int) -> tuple[Sample, int]:
        """One sample of creates, and how many there were in all."""
        order = self._rest(tenant, f"made-{uuid.uuid4().hex}")
        return load.http_sample(self._plan, clients, order, self._ground.families)

    def access(self, tenant: BenchTenant, clients: int) -> tuple[Sample, int]:
        """One sample of accesses, and how many there were in all."""
        order = {
            **self._ground.consumer(),
            "target": self._ground.stack.credentials.grpc.secrets,
            "tenant_id": tenant.id,
            "prefix": "stock",
        }
        return load.grpc_sample(self._plan, clients, order, self._ground.families)

    def _rest(self, tenant: BenchTenant, prefix: str) -> dict[str, str]:
        url = self._ground.stack.credentials.base_url
        return {"base_url": url, "api_key": tenant.api_key, "prefix": prefix}


def rounds(plan: Plan) -> list[tuple[int, int]]:
    """(run, clients) pairs: every number of clients in each run, in an order of its own."""
    pairs = []
    for run in range(1, plan.runs + 1):
        pairs += [(run, clients) for clients in random.sample(plan.clients, len(plan.clients))]
    return pairs
