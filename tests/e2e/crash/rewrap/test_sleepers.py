"""Somebody who slept past his hold wakes up, and writes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from cli.local.children import ReadyFile
from services.rewrap.run import Ended
from tests.e2e.crash.rewrap.holdings import PATIENCE_SECONDS, new_holdings
from tests.faults.plan import Fault
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 2_000
MIDDLE = 7
PARTINGS = {f"rewrap_{ended.value}" for ended in Ended}


@contextlib.contextmanager
def second_worker(faulty: FaultyStack) -> Iterator[psutil.Process]:
    """Another rewrap process, told the same as the stack's own but for its addresses."""
    stack = faulty.running.stack
    first = psutil.Process(stack.pid("rewrap"))
    ready = ReadyFile(stack.directory.run / "second-rewrap.ready.json")
    ready.arm()
    changes = {
        "COFFER_REWRAP_LISTEN": "127.0.0.1:0",
        "COFFER_REWRAP_METRICS_LISTEN": "127.0.0.1:0",
        "COFFER_REWRAP_READY_FILE": str(ready.path),
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


@pytest.mark.parametrize(
    ("step", "passes"),
    [
        ("rewrap-lanes-claimed", 1),
        ("rewrap-batch-to-send", MIDDLE),
        ("rewrap-batch-answered", MIDDLE),
        ("rewrap-to-settle", 1),
    ],
)
def test_a_worker_that_slept_past_its_hold_changes_nothing_when_it_wakes_up(
    faulty: FaultyStack, step: str, passes: int
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    with second_worker(faulty) as second:
        faulty.faults.arm(Fault(step, "stop", passes))
        lease_id = holdings.user.rotate()["rewrap_lease_id"]
        sleeper = faulty.faults.await_fired(step, seconds=PATIENCE_SECONDS)
        try:
            assert sleeper in {second.pid, faulty.running.stack.pid("rewrap")}
            assert holdings.ended(lease_id)["state"] == "completed"
            before, told = holdings.picture(), partings(faulty, lease_id)
        finally:
            os.kill(sleeper, signal.SIGCONT)
        eventually(
            lambda: partings(faulty, lease_id) > told,
            "the one that slept gives up",
            seconds=PATIENCE_SECONDS,
        )
        assert holdings.picture() == before
    holdings.assert_completed(lease_id)


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
