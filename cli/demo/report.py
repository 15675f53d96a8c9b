"""What happened, as a table for people and as JSON for scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.demo.steps import StepRecord


def as_table(records: Sequence[StepRecord], seconds: float) -> Table:
    """A row for each step that was tried."""
    table = Table("", "step", title="What happened")
    table.add_column("what happened", overflow="fold")
    table.add_column("seconds", justify="right")
    table.add_column("held")
    for number, record in enumerate(records, start=1):
        held = "[green]yes[/]" if record.ok else "[bold red]NO[/]"
        detail = record.detail.replace("[", "\\[")
        table.add_row(str(number), record.title, detail, f"{record.seconds:.1f}", held)
    table.add_section()
    table.add_row("", "everything", "", f"{seconds:.1f}", "")
    return table


def to_json(
    records: Sequence[StepRecord], *, planned: int, secrets: int, seconds: float
) -> dict[str, Any]:
    """The report of `--json`. `ok` only if every one of the `planned` steps was done and held.

    Members: `ok`, `failed_step` (a step's name or null), `secrets` (strings asked for), `seconds`, and
    `steps`, each with `name`, `title`, `ok`, `seconds`, `detail` and `counts`.
    """
    failed = next((record.name for record in records if not record.ok), None)
    return {
        "ok": failed is None and len(records) == planned,
        "failed_step": failed,
        "secrets": secrets,
        "seconds": round(seconds, 2),
        "steps": [{**asdict(one), "seconds": round(one.seconds, 2)} for one in records],
    }
