"""What the control clients of all clouds have in common: the door, faults and the ledger.

Not for the product: a real cloud has no such door. All methods are synchronous; they raise
`ControlError` when the stand-in refuses and `httpx.TransportError` when it cannot be reached.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

import httpx

from devcloud.faults import ANY_OPERATION, Fault, FaultKind
from devcloud.ledger import Call, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_TIMEOUT_SECONDS = 10.0
_OK = 200


class ControlError(Exception):
    """The stand-in refused a command: unknown key or role, wrong token, nonsense."""


class ControlClient:
    """Faults and counters of one stand-in. Use as a context manager, or call `close`."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/_devcloud/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_SECONDS,
            # A proxy of the environment has no business between a test and its loopback server.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    # Faults (forgotten when the stand-in restarts)

    def add_fault(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._do("add-fault", **asdict(fault))

    def slow(self, resource: str | None, seconds: float, operation: str = ANY_OPERATION) -> None:
        """Answer `seconds` late for one resource (None: for all)."""
        self.add_fault(Fault(FaultKind.LATENCY, operation, resource, seconds=seconds))

    def throttle(
        self, resource: str | None, operation: str = ANY_OPERATION, times: int | None = None
    ) -> None:
        """Refuse with the rate limit, `times` calls or until cleared."""
        self.add_fault(Fault(FaultKind.THROTTLE, operation, resource, times=times))

    def break_answers(
        self,
        kind: FaultKind,
        resource: str | None,
        operation: str = ANY_OPERATION,
        times: int | None = None,
    ) -> None:
        """Any other kind of fault for one resource (None: for all)."""
        self.add_fault(Fault(kind, operation, resource, times=times))

    def redirect(self, resource: str | None, location: str, operation: str = ANY_OPERATION) -> None:
        """Send callers over HTTP elsewhere, which they must not follow."""
        self.add_fault(Fault(FaultKind.REDIRECT, operation, resource, location=location))

    def clear_faults(self, resource: str | None = None) -> None:
        """Fine weather for one resource, or (None) everywhere."""
        self._do("clear-faults", resource=resource)

    def faults(self) -> tuple[Fault, ...]:
        """The faults in force."""
        found = self._do("faults")["faults"]
        return tuple(Fault(**{**one, "kind": FaultKind(one["kind"])}) for one in found)

    # What was asked

    def calls(self) -> tuple[Call, ...]:
        """The newest calls, oldest first (a bounded log; the counters are exact)."""
        return tuple(Call(**one) for one in self._do("calls")["calls"])

    def tallies(self) -> tuple[Tally, ...]:
        """Exact counters per operation and resource since start or `reset_ledger`."""
        return tuple(Tally(**one) for one in self._do("tallies")["tallies"])

    def count(self, operation: str | None = None, resource: str | None = None) -> int:
        """Calls of an operation on a resource; None counts all of that kind, failed ones too."""
        return sum(
            tally.calls
            for tally in self.tallies()
            if operation in (None, tally.operation) and resource in (None, tally.resource)
        )

    def reset_ledger(self) -> None:
        """Begin counting and logging anew."""
        self._do("reset-ledger")

    def _do(self, command: str, **members: Any) -> dict[str, Any]:
        answer = self._http.post(command, json=members)
        body: Mapping[str, Any] = answer.json()
        if answer.status_code != _OK:
            raise ControlError(str(body.get("error", answer.status_code)))
        return dict(body)
