"""What every administrative command has: its options, its output, its exit codes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.api import ApiError, UnreachableError
from cli.connection import StackNotFoundError, UnknownTenantError
from cli.exits import Exit
from cli.local.errors import LocalError
from cli.tenancy import RegistryUnreachableError, TenancyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PIPE_WIDTH: Final = 10_000
"""Columns of what is not a terminal: rows read by programs are not folded."""

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Data directory of `coffer up`. Default: COFFER_... variables, else .coffer.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
NoWait = Annotated[
    bool,
    typer.Option(
        "--no-wait",
        help="Give up at once when the service is busy, sealed or lost, and do not try again.",
    ),
]
OfTenant = Annotated[str, typer.Option("--tenant", help="The tenant, by slug or id.")]
OtherTenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        help="A tenant by slug or id, for the development issuer to sign for. Default: the token's.",
        show_default=False,
    ),
]


def group(summary: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        help=summary,
        pretty_exceptions_enable=False,
    )


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what can go wrong into a sentence on standard error and an exit code of `cli.exits`."""
    try:
        yield
    except (StackNotFoundError, UnreachableError, RegistryUnreachableError) as error:
        fail(str(error), Exit.UNREACHABLE)
    except (UnknownTenantError, TenancyError) as error:
        fail(str(error), Exit.REFUSED)
    except ApiError as error:
        fail("\n".join(error.lines()), Exit.REFUSED if error.refused else Exit.FAILED)
    except (LocalError, OSError) as error:
        fail(str(error), Exit.FAILED)


def confirm(question: str, *, yes: bool) -> None:
    """Go on if `yes`, or if a person says so now; else leave with Exit.FAILED."""
    if yes:
        return
    if not interactive():
        fail("nobody is there to ask: say --yes to go on without a question", Exit.FAILED)
    if not typer.confirm(question, err=True):
        fail("not confirmed: nothing was changed", Exit.FAILED)


def interactive() -> bool:
    """Whether standard input is a terminal, so that somebody can answer."""
    return sys.stdin.isatty()


def fail(message: str, code: Exit) -> NoReturn:
    """Say what went wrong and leave."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def show_json(value: object) -> None:
    """Print for a script: one JSON document."""
    typer.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print for a person: a table, or a sentence when there are no rows. No cell is cut.

    What would not be seen as it is (control characters, text direction) is written out, as in `show_facts`:
    strangers name certificates, colleagues name collections, and no name may rearrange a terminal.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row))
    if not table.row_count:
        typer.echo(empty)
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPE_WIDTH)
    console.print(table)


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print for a person: names and values."""
    pairs = [(name, _cell(value)) for name, value in facts]
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        typer.echo(f"{name:<{width}}  {value}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, list | tuple):
        return ", ".join(_visible(str(part)) for part in value) or "-"
    return _visible(str(value))


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return _moment(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
