"""Faults as files: what shall happen when some process of a stack comes by a point.

A test arms a fault; whichever process comes by at the right pass takes it, by renaming its file, so that it
befalls one process once, however many there are and however often they are started again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

ALWAYS = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at `point`, on the `passes`-th pass from now on, over all processes (ALWAYS: on each).

    `act` is `kill:<child of the stack>`, `kill-backend`, `stop` (SIGSTOP of the process itself), `raise`,
    `hold` (an async function waits until it is let go), or `note` (nothing, but one sees that it came by).
    `needle`: only a pass with these bytes in one of the arguments counts, in hexadecimal.
    """

    point: str
    act: str
    passes: int = 1
    needle: str = ""


class FaultFolder:
    """Where faults lie. The folder is shared by the test and the processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._armed = root / "armed"
        self._fired = root / "fired"
        self._free = root / "free"
        self._listening = root / "listening"

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self._armed, self._fired, self._free, self._listening):
            folder.mkdir(parents=True, exist_ok=True)

    # The test's side

    def arm(self, fault: Fault) -> None:
        """Let it happen from now on. One at a time for a point."""
        self._marker(fault.point).unlink(missing_ok=True)
        (self._free / fault.point).unlink(missing_ok=True)
        draft = self._fired / f"{fault.point}.draft"
        draft.write_text(json.dumps(asdict(fault)))
        draft.rename(self._armed / f"{fault.point}@{fault.passes}")

    def disarm(self) -> None:
        """Nothing happens any more, and whoever is held goes on."""
        for file in list(self._armed.iterdir()):
            file.unlink(missing_ok=True)
        for held in self._fired.glob("*.pid"):
            self.let_go(held.stem)

    def fired(self, point: str) -> int | None:
        """The pid of the process that the fault befell; None while it did not."""
        try:
            return int(self._marker(point).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def fired_at(self, point: str) -> datetime:
        """When it befell a process, just before it did. Raises FileNotFoundError while it did not."""
        return datetime.fromtimestamp(self._marker(point).stat().st_mtime, UTC)

    def await_fired(self, point: str, *, seconds: float) -> int:
        """Wait for it; the pid of the process that came by."""
        return eventually(lambda: self.fired(point), f"the fault at {point} fires", seconds=seconds)

    def let_go(self, point: str) -> None:
        """End a `hold`."""
        (self._free / point).touch()

    def skew(self, service: str, seconds: float) -> None:
        """Let the wall clock of a service's next processes be wrong by so much."""
        (self.root / f"{service}.skew").write_text(str(seconds))

    def address_of(self, service: str) -> str:
        """Where a service listens, `host:port`. Raises FileNotFoundError before it was ever started."""
        return (self._listening / service).read_text()

    # The process's side

    def skew_of(self, service: str) -> float:
        """By how much the clock of this service is wrong."""
        try:
            return float((self.root / f"{service}.skew").read_text())
        except FileNotFoundError:
            return 0.0

    def listens(self, service: str, address: str) -> None:
        """Say where a service will listen."""
        draft = self._listening / f"{service}.draft"
        draft.write_text(address)
        draft.rename(self._listening / service)

    def take(self, point: str) -> Fault | None:
        """The fault that is to happen on this pass, which nobody else gets then."""
        for file in self._armed.glob(f"{point}@*"):
            left = int(file.name.rpartition("@")[2])
            try:
                if left == ALWAYS:
                    return Fault(**json.loads(file.read_bytes()))
                if left > 1:
                    file.rename(self._armed / f"{point}@{left - 1}")
                    return None
                taken = file.rename(self._fired / f"{point}.taken")
                return Fault(**json.loads(taken.read_bytes()))
            except FileNotFoundError:
                return None  # another process came by in this very moment
        return None

    def peek(self, point: str) -> Fault | None:
        """The fault that is armed here, however many passes away."""
        for file in self._armed.glob(f"{point}@*"):
            try:
                return Fault(**json.loads(file.read_bytes()))
            except FileNotFoundError:
                continue
        return None

    def mark_fired(self, point: str, pid: int) -> None:
        """Say that it happens now; on disk before anything else does."""
        draft = self._fired / f"{point}.{pid}.draft"
        draft.write_text(str(pid))
        draft.rename(self._marker(point))

    def is_free(self, point: str) -> bool:
        """Whether a `hold` has ended."""
        return (self._free / point).exists()

    def _marker(self, point: str) -> Path:
        return self._fired / f"{point}.pid"
