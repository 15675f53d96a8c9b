"""The limits without any service: what this machine, this PostgreSQL and these generators can do."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from benchmarks.figures import Sample, Series
from benchmarks.limits import standing_limits
from benchmarks.sections import Section, rounds
from cli.local.files import private_folder
from cli.local.pki import DevelopmentPki
from cli.local.scratch import scratch_folder, scratch_postgres
from services.common.migrations.runner import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.limits import Limits
    from benchmarks.plan import Plan

COMMITS = "single-row commits (pgbench)"
THREE = "transactions of three inserts (pgbench)"
ECHO = "bare echo rpc (gRPC, mutual TLS)"
FLOOR = "load generator against a constant answer (HTTP)"
LOOP = "data keys in the bare loop"
IN_SQL = "the same inside SQL, no crypto (LR)"


def measure(plan: Plan, tell: Callable[[str], None]) -> Section:
    """All of them, on a PostgreSQL of their own."""
    with scratch_folder() as folder, scratch_postgres(durable=True) as server:
        migrate(server.dsn, {})
        pki = DevelopmentPki(private_folder(folder / "pki"))
        with standing_limits(server.dsn, plan, pki) as limits:
            series = [*_by_clients(limits, plan, tell), *_rewraps(limits, plan, tell)]
    return Section("limits", series)


def _by_clients(limits: Limits, plan: Plan, tell: Callable[[str], None]) -> list[Series]:
    series = {
        (name, n): Series(name, n) for name in (COMMITS, THREE, ECHO, FLOOR) for n in plan.clients
    }
    for run, n in rounds(plan):
        tell(f"limits: run {run} of {plan.runs}, {n} clients")
        series[COMMITS, n].add(Sample(limits.transactions("commits", n)))
        series[THREE, n].add(Sample(limits.transactions("three_inserts", n)))
        series[ECHO, n].add(limits.echo(n))
        series[FLOOR, n].add(limits.floor(n))
    return list(series.values())


def _rewraps(limits: Limits, plan: Plan, tell: Callable[[str], None]) -> list[Series]:
    loop, in_sql = Series(LOOP), Series(IN_SQL)
    tenant_id = uuid.uuid4()
    limits.fill(tenant_id, [uuid.uuid4() for _ in range(plan.keys)])
    for run in range(1, plan.runs + 1):
        tell(f"limits: bare rewrap {run} of {plan.runs}")
        rates = limits.rewraps(tenant_id, run + 1)
        loop.add(Sample(rates["loop"]), sql=rates["sql"])
        in_sql.add(Sample(rates["sql"]))
    return [loop, in_sql]
