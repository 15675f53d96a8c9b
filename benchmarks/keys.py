"""What kms does per second with a warm cache, beside what a process set up as it is could answer at most."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks import load
from benchmarks.children import serving
from benchmarks.figures import Series
from benchmarks.ground import made_since
from benchmarks.limits import files
from benchmarks.sections import Section, rounds
from cli.local.files import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.ground import BenchTenant, Ground
    from benchmarks.plan import Plan

RPCS: Final = {
    "generate": "GenerateDataKeys, one a call",
    "unwrap": "UnwrapDataKeys, one a call",
}
ECHOES: Final = {"echo": False, "framed": True}


def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Section:
    """Both rpcs of one tenant whose master key is in the cloud stand-in."""
    series = {(rpc, n): Series(what, n) for rpc, what in RPCS.items() for n in plan.clients}
    section = Section("keys", list(series.values()))
    tenant = ground.tenant("bench-keys")
    before, began = ground.cloud_calls(), time.monotonic()
    caller = files(ground.pki.identity("secrets", "secrets"))
    order = {**caller, "tenant_id": tenant.id}
    with _echoes(ground) as echoes:
        for run, n in rounds(plan):
            for rpc in RPCS:
                tell(f"keys: run {run} of {plan.runs}, {rpc}, {n} in flight")
                asked: dict[str, Any] = {**order, "rpc": rpc}
                limits = {
                    name: load.key_sample(plan, n, {**asked, "target": target})[0].rate
                    for name, target in echoes.items()
                }
                target = ground.stack.credentials.grpc.kms
                sample, total = load.key_sample(
                    plan, n, {**asked, "target": target}, ground.families
                )
                series[rpc, n].add(sample, **limits)
                section.operations += total
    section.seconds = time.monotonic() - began
    section.cloud_calls = made_since(before, ground.cloud_calls())
    return section


def one_sample(ground: Ground, plan: Plan, tenant: BenchTenant, clients: int) -> None:
    """Both rpcs of one tenant, beside nothing: for a profile."""
    caller = files(ground.pki.identity("secrets", "secrets"))
    order = {**caller, "tenant_id": tenant.id, "target": ground.stack.credentials.grpc.kms}
    for rpc in RPCS:
        load.key_sample(plan, clients, {**order, "rpc": rpc})


@contextlib.contextmanager
def _echoes(ground: Ground) -> Iterator[dict[str, str]]:
    serves = files(ground.pki.identity("benchmark-echo", "benchmark-echo"))
    logs = private_folder(ground.stack.directory.logs)
    with contextlib.ExitStack() as running:
        yield {
            name: running.enter_context(
                serving(
                    "key_echo",
                    {**serves, "framed": framed, "log_file": str(logs / f"{name}.log")},
                )
            )
            for name, framed in ECHOES.items()
        }
