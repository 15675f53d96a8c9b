"""What was asked of a cloud: exact counters and a bounded log of calls.

The log holds the operation, the resource, the context the caller authenticated and the outcome;
never a plaintext, a ciphertext or a credential. Every HTTP request that names an operation counts
once, so an SDK's silent retry shows up as a second call. A call is counted before its answer is
sent: whoever has the answer sees the count.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOG_LIMIT = 10_000
"""Calls kept in the log; the counters go on beyond it."""

OK = "ok"


@dataclass(frozen=True, slots=True)
class Call:
    """One finished call. `outcome` is "ok" or the provider's error code; `at` is Unix seconds."""

    number: int
    at: float
    operation: str
    resource: str | None
    caller: str | None
    context: Mapping[str, str]
    outcome: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Calls of one operation on one resource since the last reset."""

    operation: str
    resource: str | None
    calls: int
    outcomes: Mapping[str, int]
    in_flight: int
    peak_in_flight: int


@dataclass(slots=True)
class OpenCall:
    """A call under way; the server fills in what it learns. Not shared between threads."""

    operation: str
    resource: str | None = None
    caller: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    outcome: str = "aborted"


_Where = tuple[str, str | None]


class Ledger:
    """Counters and log. Safe for use by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._log: deque[Call] = deque(maxlen=LOG_LIMIT)
        self._outcomes: dict[_Where, Counter[str]] = {}
        self._in_flight: Counter[_Where] = Counter()
        self._peak: Counter[_Where] = Counter()
        self._number = 0

    @contextmanager
    def call(self, operation: str) -> Iterator[OpenCall]:
        """Record the call that runs in the block, however it ends."""
        call = OpenCall(operation)
        try:
            yield call
        finally:
            self._finish(call)

    @contextmanager
    def occupying(self, call: OpenCall, resource: str | None) -> Iterator[None]:
        """Name the call's resource and count the call as in flight on it during the block."""
        call.resource = resource
        key = (call.operation, resource)
        with self._lock:
            self._in_flight[key] += 1
            self._peak[key] = max(self._peak[key], self._in_flight[key])
        try:
            yield
        finally:
            with self._lock:
                self._in_flight[key] -= 1

    def calls(self) -> tuple[Call, ...]:
        """The newest calls, oldest first, at most LOG_LIMIT."""
        with self._lock:
            return tuple(self._log)

    def tallies(self) -> tuple[Tally, ...]:
        """The counters, ordered by operation and resource."""
        with self._lock:
            keys = sorted(self._outcomes.keys() | self._peak.keys(), key=str)
            return tuple(self._tally(key) for key in keys)

    def reset(self) -> None:
        """Forget the log and start counting at zero; calls under way stay in flight."""
        with self._lock:
            self._log.clear()
            self._outcomes.clear()
            self._peak = Counter({key: n for key, n in self._in_flight.items() if n})

    def _tally(self, key: _Where) -> Tally:
        outcomes = self._outcomes.get(key, Counter())
        return Tally(
            operation=key[0],
            resource=key[1],
            calls=outcomes.total(),
            outcomes=dict(outcomes),
            in_flight=self._in_flight[key],
            peak_in_flight=self._peak[key],
        )

    def _finish(self, call: OpenCall) -> None:
        with self._lock:
            self._number += 1
            self._outcomes.setdefault((call.operation, call.resource), Counter())[call.outcome] += 1
            self._log.append(
                Call(
                    number=self._number,
                    at=time.time(),
                    operation=call.operation,
                    resource=call.resource,
                    caller=call.caller,
                    context=dict(call.context),
                    outcome=call.outcome,
                )
            )
