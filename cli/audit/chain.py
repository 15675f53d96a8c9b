"""A tenant's chain as the command line reads it from the database, piece by piece."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.tenancy import TenancyError, reading
from services.common.audit_chain import COLUMNS, ENDS, StoredEvent, ends_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cli.tenancy import Connection
    from services.common.audit_chain import Ends

PIECE: Final = 2_000
"""Events that are in memory at a time."""
_EVENTS: Final = (
    f"select {COLUMNS} from audit.event"  # noqa: S608 - constants
    " where tenant_id = %s and seq between %s and %s order by seq"
)

From = Annotated[
    int,
    typer.Option("--from", min=1, help="The number of the first event; the link into it counts."),
]


class Chain:
    """The events of one tenant, in a transaction."""

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def ends(self, first: int) -> Ends:
        """What a walk from `first` begins and ends with. Raises TenancyError for one beyond the end."""
        found = self._connection.execute(
            ENDS, {"tenant": self._tenant_id, "before": first - 1}
        ).fetchone()
        ends = ends_of(found, first)
        if first > ends.until + 1:
            raise TenancyError(f"--from is beyond the end: there are {ends.until} events")
        return ends

    def events(self, first: int, until: int) -> Iterator[StoredEvent]:
        """Those with the numbers `first` to `until`, as far as they are there, in order."""
        for at in range(first, until + 1, PIECE):
            bounds = (self._tenant_id, at, min(at + PIECE - 1, until))
            for row in self._connection.execute(_EVENTS, bounds).fetchall():
                yield StoredEvent(*row)


@contextlib.contextmanager
def open_chain(dsn: str, tenant_id: str) -> Iterator[Chain]:
    """The chain of an existing tenant. Raises TenancyError."""
    with reading(dsn, tenant_id) as connection:
        yield Chain(connection, tenant_id)


def watched(events: Iterable[StoredEvent], total: int) -> Iterator[StoredEvent]:
    """The same, with a bar on standard error while that is a terminal."""
    console = Console(stderr=True, highlight=False)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task("events", total=total)
        for event in events:
            yield event
            bar.advance(task)
