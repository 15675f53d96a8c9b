"""Bad weather on demand: what a cloud does to a caller besides answering correctly.

A fault hits one operation or all ("*"), on one resource (a key or role ARN) or on all, for the
next `times` calls or until cleared. Faults are not stored: a restarted cloud has fine weather. A
key's own state and policy (disabled, denied, ...) are not faults; they belong to the key.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum

ANY_OPERATION = "*"


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The answer comes `seconds` later; only callers of that resource wait."""
    DROP = "drop"
    """The connection ends without an answer."""
    THROTTLE = "throttle"
    """The provider's rate-limit error."""
    INTERNAL = "internal"
    """The provider's own 500."""
    GARBAGE = "garbage"
    """Status 200 with a body that is not the protocol; the operation has taken effect."""
    CORRUPT = "corrupt"
    """Decryption gives well-formed answers with other bytes of the same length."""
    BAD_CHECKSUM = "bad_checksum"
    """The answer's checksum does not fit its content, where the protocol has checksums."""
    REDIRECT = "redirect"
    """Status 307 to `location`, for clients that must not follow; only where a cloud says it can."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. `resource` None means every resource; `times` None means until cleared."""

    kind: FaultKind
    operation: str = ANY_OPERATION
    resource: str | None = None
    seconds: float = 0.0
    times: int | None = None
    location: str | None = None

    def hits(self, operation: str, resource: str | None) -> bool:
        """Whether a call of `operation` on `resource` meets this fault."""
        right_operation = self.operation in (ANY_OPERATION, operation)
        return right_operation and self.resource in (None, resource)


class ConnectionDropped(Exception):  # noqa: N818 - an event on the wire, not an error of ours
    """The server has to end the connection now, without an answer."""


class Faults:
    """The faults in force. Safe for use by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[tuple[Fault, int | None]] = []
        self._closed = threading.Event()
        self._waiting: set[threading.Event] = set()

    def add(self, fault: Fault) -> None:
        """Put a fault in force; rules add up."""
        with self._lock:
            self._rules.append((fault, fault.times))

    def clear(self, resource: str | None = None) -> None:
        """Take away the faults of one resource, or all of them."""
        with self._lock:
            kept = [] if resource is None else [r for r in self._rules if r[0].resource != resource]
            self._rules = kept

    def in_force(self) -> tuple[Fault, ...]:
        """The rules that would still hit something."""
        with self._lock:
            return tuple(fault for fault, _ in self._rules)

    def take(self, operation: str, resource: str | None) -> frozenset[FaultKind]:
        """Wait out the latency of this call, then say what else befalls it.

        Uses up one of `times` of every rule that hits. Raises ConnectionDropped for DROP.
        """
        return frozenset(fault.kind for fault in self.take_rules(operation, resource))

    def take_rules(
        self, operation: str, resource: str | None, *, gone: threading.Event | None = None
    ) -> tuple[Fault, ...]:
        """As `take`, with the whole rules that hit. `gone` ends the wait when the caller left."""
        hit = self._use(operation, resource)
        delay = sum(fault.seconds for fault in hit if fault.kind is FaultKind.LATENCY)
        if delay > 0:
            self._sleep(delay, gone or threading.Event())
        if any(fault.kind is FaultKind.DROP for fault in hit):
            raise ConnectionDropped
        return tuple(hit)

    def close(self) -> None:
        """Wake every delayed call, for a server that stops."""
        with self._lock:
            self._closed.set()
            for one in self._waiting:
                one.set()

    def _sleep(self, seconds: float, gone: threading.Event) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            self._waiting.add(gone)
        gone.wait(seconds)
        with self._lock:
            self._waiting.discard(gone)

    def _use(self, operation: str, resource: str | None) -> list[Fault]:
        hit: list[Fault] = []
        kept: list[tuple[Fault, int | None]] = []
        with self._lock:
            for fault, left in self._rules:
                if not fault.hits(operation, resource):
                    kept.append((fault, left))
                    continue
                hit.append(fault)
                if left is None:
                    kept.append((fault, None))
                elif left > 1:
                    kept.append((fault, left - 1))
            self._rules = kept
        return hit
