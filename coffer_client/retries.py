"""When a call that failed is made again. Pure."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from coffer_client.errors import CofferClientError


@dataclass(frozen=True, slots=True)
class Retries:
    """Pauses grow from `first` by a factor of 2 to `longest`, in seconds; half of each is drawn by lot, so
    that clients that failed together do not come back together.

    Only what may pass by itself is repeated: the service cannot be reached or is busy, or the tenant is
    sealed. Reads change nothing, and a write carries one idempotency key through all its repetitions, so the
    work is done once. A definite refusal is never repeated.
    """

    first: float = 0.1
    longest: float = 2.0

    def pause(self, failures: int, retry_after: float | None, lot: float) -> float:
        """Seconds to wait after so many failures, from 1; `lot` is from 0 to 1. Never less than was asked."""
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
        return max(whole * (0.5 + lot / 2), retry_after or 0.0)


@dataclass(slots=True)
class Attempts:
    """The attempts of one call, all within one deadline."""

    retries: Retries
    timeout: float
    clock: Callable[[], float] = time.monotonic
    lot: Callable[[], float] = random.random
    _failures: int = field(default=0, init=False)
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = self.clock() + self.timeout

    @property
    def left(self) -> float:
        """Seconds until the deadline; never less than a moment, so that gRPC says what happened."""
        return max(self._deadline - self.clock(), 0.001)

    def pause_after(self, error: CofferClientError) -> float:
        """Seconds to wait before the next attempt. Raises `error` when there is to be none."""
        self._failures += 1
        if not error.may_pass:
            raise error
        pause = self.retries.pause(self._failures, error.retry_after, self.lot())
        if self.clock() + pause >= self._deadline:
            raise error
        return pause
