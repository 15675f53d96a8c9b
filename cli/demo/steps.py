"""Doing one step after the other: what it is called, how long it took, whether it held."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

Count = int | float | str


class ClaimError(Exception):
    """Something that the step shows did not hold. The text is for the person at the terminal."""


class InterruptedByPersonError(Exception):
    """Ctrl-C or SIGTERM: everything that was started is to be stopped."""


class StepFailedError(Exception):
    """A step did not hold; nothing after it was tried."""

    def __init__(self, name: str, why: str) -> None:
        """`name` is the step's; `why` a sentence without secrets."""
        super().__init__(f"the step {name} did not hold: {why}")
        self.name = name


class Stop:
    """Whether a person asked for the end. Every loop of the demo asks it."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def check(self) -> None:
        """Raise InterruptedByPersonError once the end was asked for."""
        if self.asked.is_set():
            raise InterruptedByPersonError

    def sleep(self, seconds: float) -> None:
        """Wait, or raise InterruptedByPersonError as soon as the end is asked for."""
        if self.asked.wait(seconds):
            raise InterruptedByPersonError


@dataclass(slots=True)
class StepRecord:
    """What became of one step. `seconds` is wall time; `counts` are figures by stable names."""

    name: str
    title: str
    ok: bool = False
    seconds: float = 0.0
    detail: str = ""
    counts: dict[str, Count] = field(default_factory=dict)

    def tell(self, detail: str, **counts: Count) -> None:
        """What happened, for people, and the figures behind it, for scripts."""
        self.detail = detail
        self.counts.update(counts)


class Announcer(Protocol):
    """Who shows a step while it runs."""

    def begin(self, number: int, title: str) -> None:
        """A step begins; `number` from 1."""
        ...

    def end(self, record: StepRecord) -> None:
        """It ended, well or not."""
        ...


class Recorder:
    """Runs steps under their names and remembers them."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self.records: list[StepRecord] = []

    @property
    def failed(self) -> StepRecord | None:
        """The step that did not hold."""
        return next((record for record in self.records if not record.ok), None)

    @contextlib.contextmanager
    def step(self, name: str, title: str) -> Iterator[StepRecord]:
        """Run the block as the step `name`. Raises StepFailedError when it raises anything.

        InterruptedByPersonError passes as it is, and nobody is told that the step failed.
        """
        record = StepRecord(name, title)
        self.records.append(record)
        self._announcer.begin(len(self.records), title)
        began = time.monotonic()
        try:
            yield record
            record.ok = True
        except InterruptedByPersonError:
            raise
        except Exception as error:
            record.detail = _words(error)
            raise StepFailedError(name, record.detail) from error
        finally:
            record.seconds = time.monotonic() - began
            if record.ok or record.detail:
                self._announcer.end(record)


def require(holds: bool, claim: str) -> None:
    """Raise ClaimError saying what was found when a claim does not hold."""
    if not holds:
        raise ClaimError(claim)


def _words(error: Exception) -> str:
    text = str(error).strip()
    if isinstance(error, ClaimError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
