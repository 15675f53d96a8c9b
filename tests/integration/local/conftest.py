"""A place for data that a database started by root can reach, and small programs to supervise."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.local.children import ChildSpec, ReadyFile
from cli.local.files import private_folder
from cli.local.records import ProcessRecords
from cli.local.scratch import scratch_folder
from cli.local.supervisor import Event, Supervisor

BECOME_READY = """
import json, os, sys, time
def ready(path):
    with open(path + ".new", "w") as f:
        json.dump({"pid": os.getpid()}, f)
    os.replace(path + ".new", path)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Passable for the database's account, removed afterwards."""
    with scratch_folder() as made:
        yield made


class Bench:
    """A supervisor, the events it told, and a way to write programs for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = private_folder(folder / "run")
        self.events: list[Event] = []
        self.supervisor = Supervisor(ProcessRecords(self.run), self.events.append)

    def child(
        self,
        name: str,
        body: str,
        *,
        needs: tuple[str, ...] = (),
        stop_seconds: float = 5,
        ready_seconds: float = 20,
        first_attempts: int = 1,
    ) -> ChildSpec:
        """A Python program; `READY` in its globals is the path of its ready file."""
        ready = self.run / f"{name}.ready.json"
        script = self.folder / f"{name}.py"
        script.write_text(f"{BECOME_READY}\nREADY = {str(ready)!r}\n{body}")
        return ChildSpec(
            name=name,
            argv=(sys.executable, "-S", "-E", str(script)),
            env={},
            log_file=self.folder / f"{name}.log",
            readiness=ReadyFile(ready),
            needs=needs,
            stop_seconds=stop_seconds,
            ready_seconds=ready_seconds,
            first_attempts=first_attempts,
        )

    def told(self, name: str) -> list[str]:
        """What happened to a child, in order."""
        return [event.what for event in self.events if event.child == name]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A supervisor that is stopped afterwards."""
    made = Bench(tmp_path)
    yield made
    made.supervisor.stop()
