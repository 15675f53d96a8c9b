"""`coffer demo` as a person runs it, in a temporary folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from cli.local.records import MARKER
from cli.local.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

COFFER = Path(sys.executable).with_name("coffer")
LINE_SECONDS = 90
END_SECONDS = 60


class Running:
    """A demo under way. Its progress is read as it comes, so that it never waits for a reader."""

    def __init__(self, temporary: Path, arguments: tuple[str, ...], env: dict[str, str]) -> None:
        self.temporary = temporary
        self._report = (temporary / "stdout").open("wb")
        self.process = subprocess.Popen(
            [COFFER, "demo", "--json", *arguments],
            env={**os.environ, "TMPDIR": str(temporary), **env},
            stdout=self._report,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def progress(self) -> str:
        """What it has shown so far."""
        with self._said:
            return "".join(self._lines)

    @property
    def report(self) -> str:
        """What it wrote for scripts."""
        return (self.temporary / "stdout").read_text(encoding="utf-8")

    @property
    def folder(self) -> Path:
        """Where it keeps everything."""
        (found,) = self.temporary.glob("coffer-demo-*")
        return found

    def wait_for(self, text: str) -> None:
        """Until it has shown that text."""
        limit = time.monotonic() + LINE_SECONDS
        with self._said:
            while not any(text in line for line in self._lines):
                assert self._reader.is_alive(), "".join(self._lines)
                assert time.monotonic() < limit, "".join(self._lines)
                self._said.wait(0.1)

    def end(self, number: int) -> int:
        """Send a signal to it alone; its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Until it has ended; its exit status."""
        status = self.process.wait(END_SECONDS)
        self._reader.join(END_SECONDS)
        return status

    def left_processes(self) -> list[str]:
        """The command lines of what it started and what still runs."""
        left = []
        for process in psutil.process_iter():
            try:
                run = process.environ().get(MARKER, "")
                if run.startswith(f"{self.temporary}/"):
                    left.append(" ".join(process.cmdline()))
            except (psutil.Error, OSError):
                continue
        return left

    def left_folders(self) -> list[Path]:
        """What of it is still in the temporary folder."""
        return list(self.temporary.glob("coffer-demo-*"))

    def close(self) -> None:
        """End it whatever state it is in, also when the test has failed."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(END_SECONDS)
        self._reader.join(END_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self._report.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self._lines.append(line)
                self._said.notify_all()


class Demos:
    """Starts demos."""

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self.started: list[Running] = []

    def start(self, *arguments: str, **env: str) -> Running:
        running = Running(self._temporary, arguments, env)
        self.started.append(running)
        return running


@pytest.fixture
def demos() -> Iterator[Demos]:
    """All of them are ended afterwards."""
    with scratch_folder() as temporary:
        made = Demos(temporary)
        try:
            yield made
        finally:
            for running in made.started:
                running.close()
