"""Somebody who slept past his hold wakes up, and writes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from cli.local.children import ReadyFile
from services.rewrap.model import MAX_LANES
from services.rewrap.run import Ended
from tests.e2e.crash.rewrap.holdings import PATIENCE_SECONDS, new_holdings
from tests.faults.plan import Fault
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.crash.rewrap.holdings import Holdings
    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 2_000
MIDDLE = 7
HALT = "rewrap-batch-answered"
"""Held here, a worker with one batch in flight at a time does nothing but hold on to its lanes."""
PARTINGS = {f"rewrap_{ended.value}" for ended in Ended}


@contextlib.contextmanager
def second_worker(faulty: FaultyStack, **more: object) -> Iterator[psutil.Process]:
    """Another rewrap process, told the same as the stack's own but for its addresses and `more`."""
    stack = faulty.running.stack
    first = psutil.Process(stack.pid("rewrap"))
    ready = ReadyFile(stack.directory.run / "second-rewrap.ready.json")
    ready.arm()
    changes = {
        "COFFER_REWRAP_LISTEN": "127.0.0.1:0",
        "COFFER_REWRAP_METRICS_LISTEN": "127.0.0.1:0",
        "COFFER_REWRAP_READY_FILE": str(ready.path),
        **{f"COFFER_REWRAP_{name.upper()}": str(value) for name, value in more.items()},
    }
    with (stack.directory.logs / "second-rewrap.log").open("ab") as log:
        process = subprocess.Popen(
            first.cmdline(),
            env=first.environ() | changes,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        eventually(
            lambda: ready.is_ready(process.pid),
            "the second worker is ready",
            seconds=PATIENCE_SECONDS,
        )
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("step", ["rewrap-batch-to-send", "rewrap-to-settle"])
def test_a_worker_that_slept_until_the_lease_had_ended_changes_nothing_when_it_wakes_up(
    faulty: FaultyStack, step: str
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    with second_worker(faulty) as second:
        faulty.faults.arm(Fault(step, "stop"))
        lease_id = holdings.user.rotate()["rewrap_lease_id"]
        sleeper = faulty.faults.await_fired(step, seconds=PATIENCE_SECONDS)
        assert sleeper in {second.pid, faulty.running.stack.pid("rewrap")}
        with awoken(faulty, sleeper, lease_id):
            assert holdings.ended(lease_id)["state"] == "completed"
            before = holdings.picture()
        assert holdings.picture() == before
    holdings.assert_completed(lease_id)


@pytest.mark.parametrize(
    ("step", "passes"),
    [
        ("rewrap-lanes-claimed", 1),
        ("rewrap-batch-to-send", MIDDLE),
        ("rewrap-batch-answered", MIDDLE),
    ],
)
def test_a_worker_that_wakes_up_while_another_has_its_lanes_changes_nothing(
    faulty: FaultyStack, step: str, passes: int
) -> None:
    """The other has taken every lane, and is held where it can do nothing but hold on to them."""
    holdings = new_holdings(faulty.running, KEYS)
    first = faulty.running.stack.pid("rewrap")
    with second_worker(faulty, lanes=MAX_LANES, in_flight=1) as second:
        second.suspend()
        faulty.faults.arm(Fault(step, "stop", passes))
        lease_id = holdings.user.rotate()["rewrap_lease_id"]
        assert faulty.faults.await_fired(step, seconds=PATIENCE_SECONDS) == first
        with awoken(faulty, first, lease_id):
            stale = fence(holdings, lease_id)
            faulty.faults.arm(Fault(HALT, "hold"))
            second.resume()
            assert faulty.faults.await_fired(HALT, seconds=PATIENCE_SECONDS) == second.pid
            eventually(
                lambda: all_held_above(holdings, lease_id, stale),
                "the other has taken all lanes",
                seconds=PATIENCE_SECONDS,
            )
            before = substance(holdings, lease_id)
            assert before[0][0][:2] == ("running", KEYS)
            faulty.faults.arm(Fault("secrets-batch-received", "note"))
        if step == "rewrap-batch-to-send":
            assert faulty.faults.fired("secrets-batch-received"), "nothing was sent"
        assert substance(holdings, lease_id) == before
        faulty.faults.let_go(HALT)
        holdings.assert_completed(lease_id)


@pytest.mark.parametrize("step", ["rewrap-batch-to-send", "rewrap-verify-to-send"])
def test_a_worker_that_wakes_up_to_let_go_while_another_settles_changes_nothing(
    faulty: FaultyStack, step: str
) -> None:
    """Nobody holds a lane then: only that its own holds are over keeps the sleeper from the lease."""
    holdings = new_holdings(faulty.running, KEYS)
    first = psutil.Process(faulty.running.stack.pid("rewrap"))
    with second_worker(faulty) as second:
        first.suspend()
        try:
            faulty.faults.arm(Fault(step, "stop", MIDDLE))
            lease_id = holdings.user.rotate()["rewrap_lease_id"]
            assert faulty.faults.await_fired(step, seconds=PATIENCE_SECONDS) == second.pid
            faulty.faults.arm(Fault("rewrap-to-settle", "hold"))
        finally:
            first.resume()
        settler = faulty.faults.await_fired("rewrap-to-settle", seconds=PATIENCE_SECONDS)
        assert settler == first.pid
        before = substance(holdings, lease_id)
        assert before[0][0][:2] == ("running", KEYS)
        second.terminate()  # it hears of that when it wakes up
        second.resume()
        second.wait(PATIENCE_SECONDS)
        assert substance(holdings, lease_id) == before
        faulty.faults.let_go("rewrap-to-settle")
        holdings.assert_completed(lease_id)


@contextlib.contextmanager
def awoken(faulty: FaultyStack, sleeper: int, lease_id: int) -> Iterator[None]:
    """Afterwards the sleeper is awake, and has said that it has let go of the lease."""
    told = None
    try:
        yield
        told = partings(faulty, lease_id)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    eventually(
        lambda: partings(faulty, lease_id) > told,
        "the one that slept gives up",
        seconds=PATIENCE_SECONDS,
    )


def fence(holdings: Holdings, lease_id: int) -> int:
    row = holdings.lease_row(lease_id)
    assert row is not None
    return int(row["fence"])


def all_held_above(holdings: Holdings, lease_id: int, stale: int) -> bool:
    """Whether every lane that is not finished is held under a higher fence."""
    return not holdings.stack.rows(
        "select from rewrap.lane where tenant_id = %s and lease_id = %s and not finished"
        " and (fence <= %s or coalesce(held_until <= clock_timestamp(), true))",
        (holdings.user.id, lease_id, stale),
    )


def substance(holdings: Holdings, lease_id: int) -> list[list[tuple[Any, ...]]]:
    """What a holder's word that it lives does not change: counts, state, fences, cursors, data keys."""
    named = (holdings.user.id, lease_id)
    rows = holdings.stack.rows
    return [
        rows(
            "select state, total, done, skipped, failed, failed_ids, verified, kms_calls, fence,"
            " attempts, last_error, next_attempt_at, finished_at, passes, lanes_left"
            " from rewrap.lease where tenant_id = %s and id = %s",
            named,
        ),
        rows(
            "select lane, kind, cursor, quota, fence, finished, troubles"
            " from rewrap.lane where tenant_id = %s and lease_id = %s order by lane",
            named,
        ),
        rows("select * from secrets.data_key where tenant_id = %s order by id", named[:1]),
    ]


def partings(faulty: FaultyStack, lease_id: int) -> int:
    """How often any worker has said that it let go of the lease."""
    found = 0
    for log in faulty.running.stack.directory.logs.glob("*rewrap.log"):
        for line in log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                found += said.get("lease") == lease_id and said["event"] in PARTINGS
    return found


@pytest.mark.parametrize(
    "step", ["secrets-batch-read", "secrets-kms-answered", "secrets-ring-held"]
)
def test_a_batch_that_was_held_up_changes_nothing_when_its_lane_has_moved_on(
    faulty: FaultyStack, step: str
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    first = psutil.Process(faulty.running.stack.pid("rewrap"))
    with second_worker(faulty) as second:
        second.suspend()
        faulty.faults.arm(Fault(step, "hold", MIDDLE))
        lease_id = holdings.user.rotate()["rewrap_lease_id"]
        faulty.faults.await_fired(step, seconds=PATIENCE_SECONDS)
        # Asleep and not dead: the call of one that died would be cancelled.
        first.suspend()
        try:
            second.resume()
            assert holdings.ended(lease_id)["state"] == "completed"
            before = holdings.picture()
            faulty.faults.arm(Fault("secrets-swapped", "note"))
            faulty.faults.let_go(step)
            faulty.faults.await_fired("secrets-swapped", seconds=PATIENCE_SECONDS)
        finally:
            first.resume()
    holdings.assert_completed(lease_id)
    assert holdings.picture()[1:] == before[1:]
