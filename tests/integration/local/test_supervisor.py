"""Children that die, hang, disobey or leave children of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from cli.local.errors import ChildFailedError, LocalError, StartCancelledError
from cli.local.records import ProcessRecords, has_ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.local.conftest import Bench

STAYS = "ready(READY)\ntime.sleep(600)"


def eventually(condition: object, seconds: float = 10) -> bool:
    """Wait for something that happens in another process."""
    assert callable(condition)
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return True
        time.sleep(0.01)
    return False


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or has_ended(psutil.Process(pid))


def test_a_killed_child_comes_back_under_another_pid(bench: "Bench") -> None:
    bench.supervisor.start([bench.child("a", STAYS)])
    first = bench.supervisor.pid("a")
    os.kill(first, signal.SIGKILL)
    second = bench.supervisor.wait_ready("a", 10, other_than=first)
    assert second != first
    assert bench.told("a") == ["started", "ready", "died", "started", "ready"]


def test_a_child_that_keeps_dying_is_started_less_and_less_often(bench: "Bench") -> None:
    body = "ready(READY)\ntime.sleep(0.05)\nsys.exit(3)"
    bench.supervisor.start([bench.child("a", body)])
    assert eventually(lambda: bench.told("a").count("died") >= 3)
    deaths = [event.detail for event in bench.events if event.what == "died"][:3]
    assert [detail.rpartition("in ")[2] for detail in deaths] == ["0.1 s", "0.2 s", "0.4 s"]
    assert all(detail.startswith("exited with status 3") for detail in deaths)


def test_a_child_that_cannot_start_is_named_with_the_end_of_its_log(bench: "Bench") -> None:
    bad = bench.child("broken", "print('the setting X is missing', file=sys.stderr)\nsys.exit(2)")
    with pytest.raises(ChildFailedError, match="broken exited with status 2") as caught:
        bench.supervisor.start([bad])
    assert "the setting X is missing" in str(caught.value)


def test_a_first_start_is_retried_where_the_spec_says_so(bench: "Bench", tmp_path: Path) -> None:
    mark = tmp_path / "once"
    body = f"p={str(mark)!r}\nif not os.path.exists(p):\n    open(p, 'w')\n    sys.exit(1)\n{STAYS}"
    bench.supervisor.start([bench.child("late", body, first_attempts=3)])
    assert bench.told("late") == ["started", "died", "started", "ready"]


def test_a_missing_program_is_a_failure_and_not_a_crash(bench: "Bench") -> None:
    spec = bench.child("absent", "")
    absent = type(spec)("absent", ("/nonexistent/program",), {}, spec.log_file, spec.readiness)
    with pytest.raises(ChildFailedError, match="could not be started"):
        bench.supervisor.start([absent])


def test_a_child_that_never_becomes_ready_is_killed(bench: "Bench") -> None:
    with pytest.raises(ChildFailedError, match="did not become ready"):
        bench.supervisor.start([bench.child("mute", "time.sleep(600)", ready_seconds=0.3)])


def test_a_ready_file_of_an_earlier_run_is_no_readiness(bench: "Bench") -> None:
    spec = bench.child("mute", "time.sleep(600)", ready_seconds=0.3)
    (bench.run / "mute.ready.json").write_text("{}")
    with pytest.raises(ChildFailedError):
        bench.supervisor.start([spec])


def test_a_child_starts_after_what_it_needs_is_ready(bench: "Bench") -> None:
    slow = bench.child("slow", f"time.sleep(0.2)\n{STAYS}")
    bench.supervisor.start([slow, bench.child("needy", STAYS, needs=("slow",))])
    order = [(event.child, event.what) for event in bench.events]
    assert order.index(("slow", "ready")) < order.index(("needy", "started"))


def test_a_need_that_nobody_meets_is_refused(bench: "Bench") -> None:
    with pytest.raises(LocalError, match="needs nobody"):
        bench.supervisor.start([bench.child("needy", STAYS, needs=("nobody",))])


def test_children_stop_in_reverse_order(bench: "Bench") -> None:
    bench.supervisor.start([bench.child("a", STAYS), bench.child("b", STAYS)])
    pids = [bench.supervisor.pid(name) for name in ("a", "b")]
    bench.supervisor.stop()
    assert [event.child for event in bench.events if event.what == "stopped"] == ["b", "a"]
    assert all(gone(pid) for pid in pids)


def test_a_child_that_ignores_the_signal_is_killed(bench: "Bench") -> None:
    body = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{STAYS}"
    bench.supervisor.start([bench.child("deaf", body, stop_seconds=0.2)])
    pid = bench.supervisor.pid("deaf")
    bench.supervisor.stop()
    assert gone(pid)
    assert bench.told("deaf")[-1] == "killed: did not stop"


def test_what_a_dead_child_had_started_does_not_live_on(bench: "Bench", tmp_path: Path) -> None:
    grandchild = tmp_path / "grandchild"
    body = (
        "import subprocess\n"
        "p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(grandchild)!r}, 'w').write(str(p.pid))\n{STAYS}"
    )
    bench.supervisor.start([bench.child("parent", body)])
    pid = int(grandchild.read_text())
    parent = bench.supervisor.pid("parent")
    os.kill(parent, signal.SIGKILL)
    bench.supervisor.wait_ready("parent", 10, other_than=parent)
    assert eventually(lambda: gone(pid))


def test_a_start_can_be_called_off(bench: "Bench") -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    with pytest.raises(StartCancelledError):
        bench.supervisor.start([bench.child("mute", "time.sleep(600)")], cancelled)


def test_a_listener_that_fails_does_not_end_the_watch(bench: "Bench") -> None:
    def fail(event: object) -> None:
        raise BrokenPipeError

    supervisor = type(bench.supervisor)(ProcessRecords(bench.run), fail)
    try:
        supervisor.start([bench.child("a", STAYS)])
        first = supervisor.pid("a")
        os.kill(first, signal.SIGKILL)
        supervisor.wait_ready("a", 10, other_than=first)
    finally:
        supervisor.stop()


@contextlib.contextmanager
def sleeper(env: dict[str, str] | None = None) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, start_new_session=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_orphan_is_ended_and_its_record_dropped(tmp_path: Path) -> None:
    records = ProcessRecords(tmp_path)
    with sleeper() as orphan:
        records.add("orphan", orphan.pid, signal.SIGTERM)
        assert ProcessRecords(tmp_path).end_orphans(5) == [orphan.pid]
        assert orphan.wait() == -signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_an_orphan_without_a_record_is_known_by_its_marker(tmp_path: Path) -> None:
    records = ProcessRecords(tmp_path)
    with sleeper(records.marker) as orphan:
        eventually(lambda: psutil.Process(orphan.pid).environ())
        assert records.end_orphans(5) == [orphan.pid]
        assert orphan.wait() == -signal.SIGTERM


@pytest.mark.parametrize("changed", ["started", "command"])
def test_a_process_that_merely_has_the_pid_is_left_alone(tmp_path: Path, changed: str) -> None:
    records = ProcessRecords(tmp_path)
    with sleeper() as stranger:
        records.add("child", stranger.pid, signal.SIGTERM)
        file = next(tmp_path.iterdir())
        real = psutil.Process(stranger.pid)
        other = {
            "started": (f'"started": {real.create_time()}', '"started": 1.5'),
            "command": ("time.sleep", "time.slept"),
        }[changed]
        file.write_text(file.read_text().replace(*other))
        assert records.end_orphans(1) == []
        assert stranger.poll() is None


def test_a_damaged_record_does_not_keep_the_stack_from_starting(tmp_path: Path) -> None:
    (tmp_path / "child.process.json").write_text('{"pid": ')
    assert ProcessRecords(tmp_path).end_orphans(1) == []
    assert list(tmp_path.iterdir()) == []
