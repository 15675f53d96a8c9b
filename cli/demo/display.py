"""What a person sees while the demo runs: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, Progress, TaskID, TextColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from cli.demo.steps import StepRecord

LINES_PER_BAR = 4
"""Plain lines that stand for one bar."""


class Meter(Protocol):
    """Shows how far something is."""

    def show(self, done: int, *, rate: float | None = None, left: float | None = None) -> None:
        """`done` of the total, so many per second, so many seconds left; computed where None."""
        ...


class Display:
    """Shows steps on a console."""

    def __init__(self, console: Console, *, steps: int) -> None:
        """`steps`: how many there will be. Prints nothing yet."""
        self._console = console
        self._steps = steps

    def begin(self, number: int, title: str) -> None:
        """Print the step's title."""
        self._console.print(f"{number:>2}/{self._steps}  {title}", markup=False)

    def end(self, record: StepRecord) -> None:
        """Print whether it held, and what happened."""
        word, style = ("ok", "green") if record.ok else ("FAILED", "bold red")
        text = f"       {word}  {record.detail}  ({record.seconds:.1f} s)"
        self._console.print(text, markup=False, style=style)

    @contextlib.contextmanager
    def meter(self, title: str, total: int) -> Iterator[Meter]:
        """A bar on a terminal; elsewhere a line for each quarter."""
        if not self._console.is_terminal:
            yield _Lines(self._console, title, total)
            return
        columns = (
            TextColumn("       {task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[pace]}"),
        )
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(title, total=total, pace="")
            yield _Bar(progress, task, total)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID, total: int) -> None:
        self._progress, self._task = progress, task
        self._pace = _Pace(total)

    def show(self, done: int, *, rate: float | None = None, left: float | None = None) -> None:
        pace = self._pace.words(done, rate, left)
        self._progress.update(self._task, completed=done, pace=pace)


class _Lines:
    def __init__(self, console: Console, title: str, total: int) -> None:
        self._console, self._title, self._total = console, title, total
        self._pace = _Pace(total)
        self._shown = 0

    def show(self, done: int, *, rate: float | None = None, left: float | None = None) -> None:
        quarter = done * LINES_PER_BAR // max(1, self._total)
        if quarter > self._shown:
            self._shown = quarter
            pace = self._pace.words(done, rate, left)
            text = f"       {self._title} {done}/{self._total}  {pace}"
            self._console.print(text, markup=False)


class _Pace:
    """Rate and time left in words; from our own clock where nobody says them."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._began = time.monotonic()

    def words(self, done: int, rate: float | None, left: float | None) -> str:
        if rate is None:
            rate = done / max(1e-3, time.monotonic() - self._began)
        if left is None and rate > 0:
            left = (self._total - done) / rate
        return f"{rate:,.0f}/s" + ("" if left is None else f", {left:.0f} s left")
