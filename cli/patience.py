"""When a call of the API is sent again, and how long that waits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

_ATTEMPTS: Final = 4
_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 60
"""A person would rather be told than wait longer for one attempt."""
_PASSING: Final = frozenset({429, 503, 504})
"""Statuses that end by themselves. The other 5xx are faults, which a repetition does not mend."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Says how long to wait. `tell` gets a line for each wait: nobody should wonder why nothing happens."""

    attempts: int
    sleep: Callable[[float], None]
    tell: Callable[[str], None]

    def after_answer(
        self, attempt: int, status: int, code: str, retry_after: float | None
    ) -> float | None:
        """Seconds to wait after an error, or None to give up. `attempt` counts from 1."""
        if status not in _PASSING or attempt >= self.attempts:
            return None
        seconds = _backoff(attempt) if retry_after is None else retry_after
        if seconds > _LONGEST_SECONDS:
            return None
        self._announce(f"answered {status} {code}".rstrip(), seconds, attempt)
        return seconds

    def after_loss(self, attempt: int, what: str, *, lost: bool) -> float | None:
        """The same after no answer; `lost`: a connection was there, so somebody may be there again soon.

        Where nobody listened at the first attempt nobody is waited for: most likely nothing runs there.
        """
        if attempt >= self.attempts or not (lost or attempt > 1):
            return None
        self._announce(what, _backoff(attempt), attempt)
        return _backoff(attempt)

    def _announce(self, what: str, seconds: float, attempt: int) -> None:
        self.tell(f"{what}: trying again in {seconds:g} s ({attempt + 1} of {self.attempts})")


def _backoff(attempt: int) -> float:
    return float(_FIRST_SECONDS * 2 ** (attempt - 1))


def _to_standard_error(line: str) -> None:
    typer.echo(line, err=True)


AT_ONCE: Final = Patience(1, time.sleep, _to_standard_error)
"""Gives up at the first trouble."""
PATIENT: Final = Patience(_ATTEMPTS, time.sleep, _to_standard_error)
"""Tries a few times and says so on standard error."""
