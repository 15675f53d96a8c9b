"""What breaks for somebody who watches the demo in a log, or on a terminal without its colours."""

from __future__ import annotations

import io

from rich.console import Console

from cli.demo.display import Display
from cli.demo.steps import StepRecord


def shown(*, terminal: bool = False) -> tuple[Display, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, highlight=False)
    return Display(console, steps=3), file


def test_a_log_gets_four_lines_for_a_bar_and_no_control_characters() -> None:
    display, file = shown()
    with display.meter("stored", 1000) as meter:
        for done in range(1, 1001):
            meter.show(done)
    lines = file.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["250/1000", "500/1000", "750/1000", "1000/1000"]
    assert "\x1b" not in file.getvalue()


def test_a_terminal_gets_a_bar_with_the_rate_and_the_time_left() -> None:
    display, file = shown(terminal=True)
    with display.meter("rewrapped", 1000) as meter:
        meter.show(250, rate=500.0, left=1.5)
    assert "500/s, 2 s left" in file.getvalue()
    assert "250/1000" in file.getvalue()


def test_the_step_that_failed_is_said_to_have() -> None:
    display, file = shown()
    display.begin(2, "rotate [the] key")
    display.end(StepRecord("rotate_key", "rotate", detail="409 [tenant_sealed]", seconds=1.26))
    assert file.getvalue().splitlines() == [
        " 2/3  rotate [the] key",
        "       FAILED  409 [tenant_sealed]  (1.3 s)",
    ]
