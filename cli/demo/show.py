"""The demo from its beginning to its end, whatever that is: every process stopped, the folder gone."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console

from cli.demo.display import Display
from cli.demo.examples import examples
from cli.demo.folder import demo_folder
from cli.demo.report import as_table, to_json
from cli.demo.run import CHILDREN, STEPS, Options, make_stack, run
from cli.demo.steps import InterruptedByPersonError, Recorder, StepFailedError, Stop
from cli.exits import Exit
from cli.local.credentials import Credentials
from cli.local.errors import LocalError
from cli.local.stopping import set_by_signals

if TYPE_CHECKING:
    from pathlib import Path

    from cli.local.stack import Stack

PLAIN_WIDTH = 140
"""Columns where there is no terminal."""
SIGNAL_POLL_SECONDS = 0.2
LOG_BYTES = 1200
"""What is shown of each log after a failure: the folder it is in will be gone."""


def show(secrets: int, *, keep: bool, as_json: bool) -> Exit:
    """Run the demo in this process's main thread; the exit status."""
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    stop = Stop()
    with set_by_signals(stop.asked), demo_folder() as folder:
        performance = _Performance(console, stop, folder, secrets, as_json=as_json)
        try:
            return performance.give(keep=keep)
        except InterruptedByPersonError:
            console.print("interrupted; everything was stopped and removed")
            return Exit.INTERRUPTED


class _Performance:
    def __init__(
        self, console: Console, stop: Stop, folder: Path, secrets: int, *, as_json: bool
    ) -> None:
        self._console = console
        self._stop = stop
        self._options = Options(folder, secrets)
        self._as_json = as_json

    def give(self, *, keep: bool) -> Exit:
        stack = make_stack(self._options, os.environ)
        try:
            held = self._run(stack)
            if keep:
                self._keep(stack)
        finally:
            stack.stop()
        return Exit.OK if held else Exit.FAILED

    def _run(self, stack: Stack) -> bool:
        display = Display(self._console, steps=STEPS)
        recorder = Recorder(display)
        began = time.monotonic()
        failure = None
        try:
            run(stack, self._options, recorder, display, self._stop)
        except StepFailedError as error:
            failure = error
        seconds = time.monotonic() - began
        self._console.print(as_table(recorder.records, seconds))
        if self._as_json:
            report = to_json(
                recorder.records, planned=STEPS, secrets=self._options.secrets, seconds=seconds
            )
            sys.stdout.write(json.dumps(report, indent=2) + "\n")
            sys.stdout.flush()
        if failure is not None:
            self._explain(failure, stack)
        return failure is None

    def _explain(self, failure: StepFailedError, stack: Stack) -> None:
        for name in ("supervisor", *CHILDREN):
            log = stack.log_file(name)
            tail = log.read_bytes()[-LOG_BYTES:].decode(errors="replace") if log.exists() else ""
            if tail.strip():
                self._console.rule(f"end of {name}'s log")
                self._console.print(tail.strip(), markup=False, style="dim", soft_wrap=True)
        self._console.print(f"coffer demo: {failure}", markup=False, style="bold red")

    def _keep(self, stack: Stack) -> None:
        try:
            credentials = Credentials.read(stack.directory.root)
        except LocalError:
            return  # it never came up: nothing to keep
        text = examples(credentials, stack.directory.root)
        self._console.print(text, markup=False, soft_wrap=True)
        self._console.print("Running until Ctrl-C; then everything is stopped and removed.")
        # Not one long wait: a signal that another thread gets would not end it.
        while not self._stop.asked.wait(SIGNAL_POLL_SECONDS):
            pass
