"""How many requests to a cloud's KMS somebody waited for. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Requests:
    """A count of requests to the KMS of a cloud. The platform's own key makes none."""

    count: int = 0

    def take(self, others: Requests) -> None:
        """Add those of `others`, which are none afterwards: each is told once."""
        self.count += others.count
        others.count = 0
