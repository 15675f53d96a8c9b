"""Who was started: written down, so that the next supervisor can end what a killed one left.

A process is ours only if its pid, its start time and its command line are the recorded ones
(pids are used again). For the instant between a start and its record there is a second sign: an
environment variable that names the run folder, which only our children carry.
"""

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from cli.local.files import write_private

MARKER = "COFFER_SUPERVISED_IN"
SUFFIX = ".process.json"
POLL_SECONDS = 0.02
COMMAND_LINE_SECONDS = 1.0
SAME_START_SECONDS = 2.0
"""psutil derives start times from the boot time, which the kernel may state a second off."""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One started process. `started` is in seconds since the epoch."""

    pid: int
    started: float
    command: list[str]
    stop_signal: int

    def process(self) -> psutil.Process | None:
        """The living process this record is about, None when it is gone or another one."""
        try:
            found = psutil.Process(self.pid)
            same = (
                abs(found.create_time() - self.started) < SAME_START_SECONDS
                and found.cmdline() == self.command
                and found.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return None
        return found if same else None


class ProcessRecords:
    """The records of one run folder, one file per child."""

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet; `folder` must exist when a record is added."""
        self._folder = folder

    @property
    def marker(self) -> dict[str, str]:
        """The environment variable every child of this folder carries."""
        return {MARKER: str(self._folder)}

    def add(self, name: str, pid: int, stop_signal: signal.Signals) -> None:
        """Write down a process just started. One that is gone already needs no record."""
        try:
            found = psutil.Process(pid)
            command = _command_line(found)
            record = ProcessRecord(pid, found.create_time(), command, int(stop_signal))
        except psutil.Error:
            return
        write_private(self._folder / f"{name}{SUFFIX}", json.dumps(asdict(record)))

    def remove(self, name: str) -> None:
        """Forget a process that has ended."""
        (self._folder / f"{name}{SUFFIX}").unlink(missing_ok=True)

    def end_orphans(self, seconds: float) -> list[int]:
        """End what an earlier supervisor left running, newest first; return the pids.

        Each gets its own stop signal and `seconds` to obey it, then SIGKILL; whatever those
        processes had started themselves is killed at the end. Call it only while holding the
        directory's lock. Damaged records are dropped; a process that does not match its record
        is left alone.
        """
        found = [(record.process(), record.stop_signal) for record in self._read()]
        orphans = [_Orphan.of(process, number) for process, number in found if process is not None]
        known = {orphan.process.pid for orphan in orphans}
        orphans += [
            _Orphan.of(process, signal.SIGTERM)
            for process in self._marked()
            if process.pid not in known and _leads_group(process)
        ]
        orphans.sort(key=lambda orphan: orphan.started, reverse=True)
        for orphan in orphans:
            end(orphan.process, orphan.stop_signal, seconds)
        for process in self._marked():
            end(process, signal.SIGKILL, seconds)
        for file in self._folder.glob(f"*{SUFFIX}"):
            file.unlink(missing_ok=True)
        return [orphan.process.pid for orphan in orphans]

    def _read(self) -> list[ProcessRecord]:
        records = []
        for file in self._folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(ValueError, TypeError):
                records.append(ProcessRecord(**json.loads(file.read_bytes())))
        return records

    def _marked(self) -> list[psutil.Process]:
        marked = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                carries = process.environ().get(MARKER) == str(self._folder)
                if carries and process.pid != os.getpid():
                    marked.append(process)
        return marked


@dataclass(frozen=True, slots=True)
class _Orphan:
    process: psutil.Process
    started: float
    stop_signal: int

    @classmethod
    def of(cls, process: psutil.Process, stop_signal: int) -> "_Orphan":
        try:
            started = process.create_time()
        except psutil.Error:
            started = 0.0
        return cls(process, started, stop_signal)


def _command_line(process: psutil.Process) -> list[str]:
    # The kernel reports an exec as done a moment before the new command line can be read.
    limit = time.monotonic() + COMMAND_LINE_SECONDS
    command = process.cmdline()
    while not command and not has_ended(process) and time.monotonic() < limit:
        command = process.cmdline()
    return command


def _leads_group(process: psutil.Process) -> bool:
    try:
        return os.getpgid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def end(process: psutil.Process, number: int, seconds: float) -> None:
    """Signal `process`, wait up to `seconds` until it has ended, else send SIGKILL and wait."""
    for signal_now in (number, signal.SIGKILL):
        try:
            process.send_signal(signal_now)  # checks the start time, so never a later owner's pid
        except psutil.Error:
            return
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if has_ended(process):
                return
            time.sleep(POLL_SECONDS)


def has_ended(process: psutil.Process) -> bool:
    """Whether the process runs no more; a zombie does not run."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True
