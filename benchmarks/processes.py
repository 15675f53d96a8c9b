"""Processor time and memory of the processes of a stack, each with everything it started."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB: Final = 1024 * 1024
LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Memory:
    """In MiB, summed over a process and all it started.

    `rss` counts shared pages in every process that maps them, so for PostgreSQL it counts the shared
    buffers many times; `pss` divides them among those processes; `uss` leaves them out.
    """

    processes: int
    rss: float
    pss: float
    uss: float

    def as_json(self) -> dict[str, object]:
        """The members."""
        return asdict(self)


class Peaks:
    """The most that each process has for itself (USS), while the block lasts; looked at every second."""

    def __init__(self, families: Families) -> None:
        self._families = families
        self._before: dict[str, float] = {}
        self._most: dict[str, float] = {}
        self._end = threading.Event()
        self._looking = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._before = self._now()
        self._most = dict(self._before)
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._looking.join()

    def words(self) -> str:
        """For each process what it had before, and the most."""
        return ", ".join(
            f"{name} {self._before[name]:.0f} to {most:.0f}" for name, most in self._most.items()
        )

    def _look(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            for name, found in self._now().items():
                self._most[name] = max(self._most[name], found)

    def _now(self) -> dict[str, float]:
        return {name: memory.uss for name, memory in self._families.memory().items()}


class Families:
    """The processes of a stack by name, asked by their present ids."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        """The root process of each name."""
        self._pids = dict(pids)

    def memory(self) -> dict[str, Memory]:
        """Now, by name."""
        return {name: _memory(pid) for name, pid in self._pids.items()}

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time since the start, by name; of ended children too."""
        return {name: _cpu_seconds(pid) for name, pid in self._pids.items()}


def cpu_ms_each(
    before: Mapping[str, float], after: Mapping[str, float], operations: float
) -> dict[str, float]:
    """Processor time per operation in ms, by name."""
    share = 1e3 / max(operations, 1)
    return {name: (after[name] - before[name]) * share for name in after}


def _memory(pid: int) -> Memory:
    count, rss, pss, uss = 0, 0.0, 0.0, 0.0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            found = process.memory_full_info()
            count += 1
            rss += found.rss / MIB
            pss += getattr(found, "pss", 0) / MIB
            uss += found.uss / MIB
    return Memory(count, rss, pss, uss)


def _cpu_seconds(pid: int) -> float:
    total = 0.0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
            if process.pid == pid:
                total += times.children_user + times.children_system
    return total


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]
