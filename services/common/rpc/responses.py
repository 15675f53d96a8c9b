"""What a service adds to the headers of its response: initial metadata, sent once for each call.

The gateway copies those that it knows to the HTTP response, of an answer and of an error alike.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

IDEMPOTENT_REPLAYED: Final = "idempotent-replayed"

_HEADERS: ContextVar[list[tuple[str, str]]] = ContextVar("coffer_response_headers")


def begin() -> None:
    """A new call, for the rest of this task: nothing is added yet."""
    _HEADERS.set([])


def add(name: str, value: str) -> None:
    """Send this with whatever the current call answers. Raises LookupError outside one."""
    _HEADERS.get().append((name, value))


async def send(context: Any) -> None:
    """Send what was added, right before the reply or the status. Nothing added: nothing sent."""
    added = _HEADERS.get()
    if added:
        await context.send_initial_metadata(tuple(added))
        added.clear()
