"""A case of the crash matrix: at this step of a rewrap, this process dies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.crash.rewrap.holdings import PATIENCE_SECONDS, Holdings, new_holdings
from tests.faults.plan import Fault
from tests.faults.points import POINTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.stack import FaultyStack

KEYS = 3_000
"""Thirty batches and a bit in four lanes: a fault at the seventh is well inside."""
VICTIMS = ("rewrap", "kms", "secrets", "postgres", "backend", "gateway")
ONCE_A_LEASE = ("lanes-claimed", "to-settle", "settled")
MIDDLE = 7
FIRE_SECONDS = 60.0


@dataclass(frozen=True)
class Case:
    """`step` is a point's name."""

    step: str
    victim: str

    def __str__(self) -> str:
        return f"{self.step}:{self.victim}"

    @property
    def passes(self) -> int:
        return 1 if self.step.endswith(ONCE_A_LEASE) else MIDDLE

    def fault(self) -> Fault:
        act = "kill-backend" if self.victim == "backend" else f"kill:{self.victim}"
        return Fault(self.step, act, passes=self.passes)


def matrix(service: str) -> list[Any]:
    """All cases of the steps inside one service; victims in turns, so that none dies twice in a row."""
    return [
        pytest.param(Case(point.name, victim), id=f"{point.name}-{victim}")
        for point in POINTS
        if point.service == service
        for victim in VICTIMS
    ]


def some(*cases: tuple[str, str]) -> Iterable[Any]:
    return [pytest.param(Case(step, victim), id=f"{step}-{victim}") for step, victim in cases]


def prove(faulty: FaultyStack, case: Case, *, keys: int = KEYS) -> Holdings:
    """Let it happen in a rewrap of a new tenant; everything that was promised holds afterwards."""
    stack = faulty.running.stack
    holdings = new_holdings(faulty.running, keys)
    pids = {victim: stack.pid(victim) for victim in VICTIMS if victim != "backend"}
    faulty.faults.arm(case.fault())
    lease_id = holdings.user.rotate()["rewrap_lease_id"]
    faulty.faults.await_fired(case.step, seconds=FIRE_SECONDS)
    if case.victim in pids:
        stack.wait_ready(case.victim, other_than=pids[case.victim], seconds=PATIENCE_SECONDS)
    holdings.ended(lease_id)
    for child in pids:  # a report that cannot be fetched would say nothing about the lease
        stack.wait_ready(child, seconds=PATIENCE_SECONDS)
    holdings.assert_completed(lease_id)
    return holdings
