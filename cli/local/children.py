"""One supervised child process: how it is described, started, watched and ended."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from cli.local.account import Account
from cli.local.files import PRIVATE_FILE
from cli.local.records import ProcessRecords

POLL_SECONDS = 0.02
TAIL_BYTES = 2000


class Readiness(Protocol):
    """How one knows that a child does its work."""

    def arm(self) -> None:
        """Forget an earlier run's sign; called right before each start."""

    def is_ready(self, pid: int) -> bool:
        """Whether the process `pid` has become ready. Must return within about two seconds."""


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """Ready when the child has written its JSON file, and named its own pid if it names one."""

    path: Path

    def arm(self) -> None:
        """Remove the file of an earlier run."""
        self.path.unlink(missing_ok=True)

    def is_ready(self, pid: int) -> bool:
        """Whether a whole JSON object is there that is not another process's."""
        content = self.content()
        return content is not None and content.get("pid", pid) == pid

    def content(self) -> dict[str, object] | None:
        """What the child wrote, None while there is nothing complete."""
        try:
            read = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return None
        return read if isinstance(read, dict) else None


def nothing() -> None:
    """For a child that needs no preparation."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A child as data: the supervisor knows nothing else about it.

    `env` is the whole environment of the child, nothing is inherited. `needs` names children that
    are ready before this one is started. `prepare` runs before each start, also restarts.
    A first start is tried `first_attempts` times; later deaths are restarted without limit.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    log_file: Path
    readiness: Readiness
    needs: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    ready_seconds: float = 60.0
    first_attempts: int = 1
    account: Account | None = None
    prepare: Callable[[], None] = nothing


class Child:
    """The running process of a spec. Not thread-safe; the supervisor calls it under its lock."""

    def __init__(self, spec: ChildSpec, records: ProcessRecords) -> None:
        """Starts nothing."""
        self.spec = spec
        self._records = records
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while a process is there."""
        return None if self._process is None else self._process.pid

    def spawn(self) -> None:
        """Start the process in a session of its own. Raises OSError when it cannot be executed."""
        spec = self.spec
        spec.prepare()
        spec.readiness.arm()
        env = {**spec.env, **self._records.marker}
        descriptor = os.open(spec.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        try:
            account = spec.account
            self._process = subprocess.Popen(  # noqa: S603 - argv is the supervisor's own
                spec.argv,
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,  # Ctrl-C at the terminal is for the supervisor alone
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
            )
        finally:
            os.close(descriptor)
        try:
            self._records.add(spec.name, self._process.pid, spec.stop_signal)
        except OSError:
            self.kill()  # nobody could find it after our own death
            raise

    def is_ready(self) -> bool:
        """Whether the process runs and says that it is ready."""
        return self._process is not None and self.spec.readiness.is_ready(self._process.pid)

    def ended(self) -> str | None:
        """None while the process runs; else how it ended, and everything it had started is gone."""
        if self._process is None:
            return "was not started"
        if _runs(self._process.pid):
            return None
        # The dead leader is not reaped yet, so its group id cannot be somebody else's.
        _signal_group(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        self._process = None
        self._records.remove(self.spec.name)
        if status < 0:
            return f"was ended by signal {signal.Signals(-status).name}"
        return f"exited with status {status}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, if it is there."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def stop(self) -> bool:
        """Ask it to stop, wait, then kill it and its group. False when it had to be killed."""
        if self._process is None:
            return True
        self.send(self.spec.stop_signal)
        if self._ended_within(self.spec.stop_seconds):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End the process and its group at once."""
        if self._process is None:
            return
        _signal_group(self._process.pid, signal.SIGKILL)
        while self.ended() is None:
            time.sleep(POLL_SECONDS)

    def _ended_within(self, seconds: float) -> bool:
        limit = time.monotonic() + seconds
        while self.ended() is None:
            if time.monotonic() > limit:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def log_tail(self) -> str:
        """The end of the child's log, for a message about its failure."""
        try:
            with self.spec.log_file.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""


def _runs(pid: int) -> bool:
    # A zombie has a pid and runs nothing.
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
