"""The limits that everything is judged by, each measurable alone."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks import bare_rewrap, pgbench
from benchmarks.children import ask, serving
from benchmarks.load import grpc_sample, http_sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from benchmarks.figures import Sample
    from benchmarks.plan import Plan
    from cli.local.pki import DevelopmentPki, Identity

BARE_SECONDS: Final = 600.0
FLOOR_SECONDS: Final = 1.0
"""Enough to show that the generator is far from its limit; nothing is divided by it."""


class Limits:
    """Made by `standing_limits`. `dsn` is a superuser's of the database that the services use."""

    def __init__(self, dsn: str, plan: Plan, caller: Identity, echo: str, floor: str) -> None:
        self._dsn = dsn
        self._plan = plan
        self._files = files(caller)
        self._echo = echo
        self._floor = floor

    def transactions(self, script: str, clients: int) -> float:
        """pgbench: `commits` or `three_inserts` per second."""
        return pgbench.rate(self._dsn, script, clients=clients, seconds=self._plan.whole_seconds)

    def echo(self, clients: int) -> Sample:
        """The same AccessSecret calls to a server that answers a constant."""
        order = {**self._files, "target": self._echo, "tenant_id": "", "prefix": "echo"}
        return grpc_sample(self._plan, clients, order)[0]

    def floor(self, clients: int) -> Sample:
        """The same creates to a server that answers a constant: what the generator can do."""
        order = {"base_url": f"http://{self._floor}", "api_key": "none", "prefix": "floor"}
        brief = replace(self._plan, seconds=min(self._plan.seconds, FLOOR_SECONDS))
        return http_sample(brief, clients, order)[0]

    def fill(self, tenant_id: UUID, ids: Sequence[UUID]) -> None:
        """Make the copies of the table of data keys that `rewraps` works on."""
        bare_rewrap.fill(self._dsn, tenant_id, ids)

    def rewraps(self, tenant_id: UUID, target: int) -> dict[str, float]:
        """Rows per second of the bare loop (`loop`) and inside the server (`sql`), each row once.

        `target` is 2 at first and one more each time.
        """
        order = {"dsn": self._dsn, "tenant_id": str(tenant_id), "target": target}
        done = ask("bare_rewrap", order, seconds=BARE_SECONDS)
        return {name: float(done[name]) for name in bare_rewrap.TABLES}


@contextlib.contextmanager
def standing_limits(dsn: str, plan: Plan, pki: DevelopmentPki) -> Iterator[Limits]:
    """The bare servers run, the tables are made. `pki` gives echo and caller their certificates."""
    pgbench.prepare(dsn)
    serves = pki.identity("benchmark-echo", "benchmark-echo")
    calls = pki.identity("benchmark-caller", "consumer/benchmark-caller")
    with (
        serving("echo", {**files(serves), "value": plan.value}) as echo,
        serving("http_floor", {}) as floor,
    ):
        yield Limits(dsn, plan, calls, echo, floor)


def files(identity: Identity) -> dict[str, str]:
    """An identity as a child is told it."""
    return {
        "cert_file": str(identity.cert_file),
        "key_file": str(identity.key_file),
        "ca_file": str(identity.ca_file),
    }
