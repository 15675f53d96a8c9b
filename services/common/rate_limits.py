"""Limits of API keys: so many calls in a window that begins with the first of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_LIMIT: Final = 1_000_000
"""Calls in a window."""
MAX_WINDOW_SECONDS: Final = 86_400
DEFAULT_WINDOW_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `calls` in each window of `seconds`."""

    calls: int
    seconds: int = DEFAULT_WINDOW_SECONDS

    def laxer_than(self, other: RateLimit) -> bool:
        """Whether it allows more in the long run, or more at once."""
        return self.calls > other.calls or self.calls * other.seconds > other.calls * self.seconds


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one call: whether it is allowed, and how the window stands after it.

    `resets_at` is in Unix seconds, `retry_after` in seconds from now, at least 1; both rounded up.
    """

    allowed: bool
    limit: int
    remaining: int
    resets_at: int
    retry_after: int
