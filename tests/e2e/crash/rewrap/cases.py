"""A case of the crash matrix: at this step of a rewrap, this process dies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.crash.rewrap.holdings import PATIENCE_SECONDS, Holdings, new_holdings
from tests.faults.plan import Fault
from tests.faults.points import POINTS, Point
from tests.faults.stack import SMALL_AND_IMPATIENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.stack import FaultyStack

KEYS = 1_000
"""Ten batches and a few, in four lanes at a time: a fault at the seventh is well inside."""
VICTIMS = ("rewrap", "kms", "secrets", "postgres", "gateway")
IN_A_TRANSACTION = (
    "secrets-ring-held",
    "secrets-swapped",
    "secrets-recorded",
    "kms-report-facts-read",
)
"""Steps at which one session of the database may die, with all others."""
BACKEND = "backend"
NOTICED_SECONDS = sum(
    float(SMALL_AND_IMPATIENT[f"COFFER_REWRAP_{name}_SECONDS"]) for name in ("STALLED", "HEARTBEAT")
)
"""So soon a death is known, by the settings."""
RESTART_SECONDS = 10.0
"""For the victim to be there again and the rest to be done, on a machine that does much else; alone, a case
takes 1 s to 4 s from the death to the end."""
DATABASE_SECONDS = 5.0
"""More, where the database died: it replays its log, and everybody connects anew."""


@dataclass(frozen=True)
class Case:
    """At this step of a lease, this victim."""

    point: Point
    victim: str

    @property
    def id(self) -> str:
        return f"{self.point.name}-{self.victim}"

    def fault(self) -> Fault:
        act = "kill-backend" if self.victim == BACKEND else f"kill:{self.victim}"
        return Fault(self.point.name, act, passes=self.point.passes)

    @property
    def most_seconds(self) -> float:
        """From the death to the end of the lease."""
        database = self.victim in {"postgres", BACKEND}
        return NOTICED_SECONDS + RESTART_SECONDS + (DATABASE_SECONDS if database else 0)


def matrix(service: str) -> list[Case]:
    """All cases of the steps inside one service; victims in turns, so that none dies twice in a row."""
    return [
        Case(point, victim)
        for point in POINTS
        if point.service == service
        for victim in (*VICTIMS, *([BACKEND] if point.name in IN_A_TRANSACTION else []))
    ]


def case_of(step: str, victim: str) -> Case:
    """One of them."""
    return next(Case(point, victim) for point in POINTS if point.name == step)


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """A test for each case, by its name."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])


def prove(faulty: FaultyStack, case: Case, *, keys: int = KEYS) -> Holdings:
    """Let it happen in a rewrap of a new tenant; everything that was promised holds afterwards."""
    stack = faulty.running.stack
    holdings = new_holdings(faulty.running, keys)
    pids = {victim: stack.pid(victim) for victim in VICTIMS}
    faulty.faults.arm(case.fault())
    lease_id = holdings.user.rotate()["rewrap_lease_id"]
    faulty.faults.await_fired(case.point.name, seconds=PATIENCE_SECONDS)
    if case.victim in pids:
        stack.wait_ready(case.victim, other_than=pids[case.victim], seconds=PATIENCE_SECONDS)
    ended_at = holdings.ended(lease_id)["finished_at"]
    died_at = faulty.faults.fired_at(case.point.name)  # the same machine's clock as the database's
    assert (ended_at - died_at).total_seconds() < case.most_seconds
    for child in pids:  # a report that cannot be fetched would say nothing about the lease
        stack.wait_ready(child, seconds=PATIENCE_SECONDS)
    holdings.assert_completed(lease_id)
    return holdings
