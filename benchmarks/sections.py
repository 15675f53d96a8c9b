"""What is measured, each beside its limits: the limit and the thing, again and again, in mixed order."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

import psycopg

from benchmarks import load
from benchmarks.figures import Sample, Series, Times
from benchmarks.ground import ApiError, made_since
from benchmarks.processes import cpu_ms_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from benchmarks.ground import BenchTenant, Ground
    from benchmarks.limits import Limits
    from benchmarks.plan import Plan

REWRAP_SECONDS: Final = 300.0
POLL_SECONDS: Final = 0.1
FINISHED: Final = ("completed", "failed", "superseded", "cancelled")

REWRAPS: Final = "data keys rewrapped, from the request to rotate to the end"
WORK: Final = "of it, from the first batch to the last"


@dataclass(slots=True)
class Section:
    """The figures of one section, how many operations it did and what it asked of the cloud.

    `times` are things that are measured in seconds and not per second.
    """

    name: str
    series: list[Series]
    operations: int = 0
    cloud_calls: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    times: list[Times] = field(default_factory=list)


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

    def rewraps(self) -> Section:
        """Rotations of a tenant with many keys, beside the bare loop over a copy of the same rows."""
        section = Section("rewraps", [Series(REWRAPS), Series(WORK)])
        before = self._ground.cloud_calls()
        self._tell(f"rewraps: creating {self._plan.keys} secrets")
        tenant = self.stocked("bench-rewraps", self._plan.keys)
        tenant_id = uuid.UUID(tenant.id)
        self._limits.fill(tenant_id, self._data_key_ids(tenant_id))
        for run in range(1, self._plan.runs + 1):
            self._tell(f"rewraps: run {run} of {self._plan.runs}")
            limits = self._limits.rewraps(tenant_id, run + 1)
            for series, sample in zip(section.series, self.rotate(tenant), strict=True):
                series.add(sample, **limits)
            section.operations += self._plan.keys
        section.cloud_calls = made_since(before, self._ground.cloud_calls())
        return section

    def stocked(self, slug: str, count: int) -> BenchTenant:
        """A new tenant with `count` secrets, `stock-0` and on."""
        tenant = self._ground.tenant(slug)
        load.fill(self._plan, count, self._rest(tenant, "stock"))
        return tenant

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

    def rotate(self, tenant: BenchTenant) -> tuple[Sample, Sample]:
        """Rotate and wait for the end; keys per second of the whole, and of the work alone.

        The end is the time the lease says, on this machine's clock, so that looking for it seldom costs no
        accuracy. Raises ApiError when the lease ends any other way or did not move every key.
        """
        families = self._ground.families
        before = families.cpu_seconds()
        began = time.time()
        path = "/admin/tenant-kms/rotate"
        lease_id = self._ground.admin(tenant, "POST", path, step_up=True)["rewrap_lease_id"]
        lease = self._finished(tenant, lease_id, began)
        if lease["state"] != "completed" or lease["done"] != self._plan.keys:
            raise ApiError(f"the rewrap did not move every key: {lease}")
        cpu_ms = cpu_ms_each(before, families.cpu_seconds(), self._plan.keys)
        ended = _seconds(lease["finished_at"])
        whole = self._plan.keys / (ended - began)
        work = self._plan.keys / max(ended - _seconds(lease["started_at"]), 1e-3)
        return Sample(whole, cpu_ms=cpu_ms), Sample(work)

    def _finished(self, tenant: BenchTenant, lease_id: int, began: float) -> dict[str, object]:
        while True:
            lease = self._ground.admin(tenant, "GET", f"/admin/tenant-kms/rewraps/{lease_id}")
            if lease["state"] in FINISHED:
                return lease
            if time.time() > began + REWRAP_SECONDS:
                raise ApiError(f"the rewrap did not end within {REWRAP_SECONDS:g} s: {lease}")
            time.sleep(POLL_SECONDS)

    def _data_key_ids(self, tenant_id: UUID) -> Sequence[UUID]:
        with psycopg.connect(self._ground.stack.admin_dsn) as connection:
            rows = connection.execute(
                "select id from secrets.data_key where tenant_id = %s order by id", (tenant_id,)
            ).fetchall()
        return [row[0] for row in rows]

    def _rest(self, tenant: BenchTenant, prefix: str) -> dict[str, str]:
        url = self._ground.stack.credentials.base_url
        return {"base_url": url, "api_key": tenant.api_key, "prefix": prefix}


def rounds(plan: Plan) -> list[tuple[int, int]]:
    """(run, clients) pairs: every number of clients in each run, in an order of its own."""
    pairs = []
    for run in range(1, plan.runs + 1):
        pairs += [(run, clients) for clients in random.sample(plan.clients, len(plan.clients))]
    return pairs


def _seconds(moment: object) -> float:
    return datetime.fromisoformat(str(moment)).timestamp()
