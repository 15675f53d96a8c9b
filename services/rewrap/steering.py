"""What an administrator does to a rewrap: start, pause, resume, cancel, change how fast it may go.

Every step is one transaction of the store, which decides by the row it holds: of two steps at once the second
finds what the first left. When `pause` or `cancel` has answered, nothing more is counted or moved: whoever
still works under it is refused by the row. What was moved stays moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from services.common.errors import (
    InvalidStateError,
    NotFoundError,
    RewrapRunningError,
    ValidationError,
)
from services.rewrap.model import LeaseRef

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.common.identity import Call
    from services.rewrap.model import Lease

MAX_THROTTLE: Final = 1_000_000
"""Data keys per second."""
THROTTLE: Final = "throttle_per_second"
_MAX_ID: Final = (1 << 63) - 1

LIVE: Final = ("enqueued", "running", "waiting", "paused")
"""The states of a rewrap that has not ended; a tenant has at most one in any of these."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of state: from one of `allowed` to `state`. `verb` is for people, `event` for the audit."""

    verb: str
    allowed: Sequence[str]
    state: str
    event: str

    @property
    def ends(self) -> bool:
        """Whether the rewrap has ended then."""
        return self.state not in LIVE


PAUSE: Final = Step("paused", ("enqueued", "running", "waiting"), "paused", "rewrap.paused")
RESUME: Final = Step("resumed", ("paused",), "enqueued", "rewrap.resumed")
CANCEL: Final = Step("cancelled", LIVE, "cancelled", "rewrap.cancelled")


@dataclass(frozen=True, slots=True)
class Standing:
    """The store refused: the rewrap is in this state, and nothing was changed."""

    state: str


@dataclass(frozen=True, slots=True)
class Running:
    """The store refused to start one: this one has not ended."""

    lease_id: int
    state: str


class NoKey:
    """The store refused to start one: the tenant has no active master key."""


class SteeringStore(Protocol):
    """Leases, to be steered. Each method is one transaction, with its audit event and the reply to keep.

    Raises UnavailableError, DeadlineError.
    """

    async def start(
        self, tenant_id: UUID, throttle: int | None, call: Call
    ) -> Lease | Running | NoKey:
        """A new lease to the version that is active when it commits; only if no other is alive."""
        ...

    async def step(self, ref: LeaseRef, step: Step, call: Call) -> Lease | Standing | None:
        """The lease after the step; None: there is no such."""
        ...

    async def throttle(
        self, ref: LeaseRef, per_second: int | None, call: Call
    ) -> Lease | Standing | None:
        """The lease with this bound (None: none); no event when it had it. None: there is no such."""
        ...


class Steering:
    """Every method acts for the call's tenant and raises not_found for a lease that it does not have."""

    def __init__(self, leases: SteeringStore) -> None:
        self._leases = leases

    async def start(self, call: Call, throttle: int | None) -> Lease:
        """Start one by hand. Raises validation_error, rewrap_running; invalid_state without a key."""
        _require_bound(throttle)
        found = await self._leases.start(call.tenant, throttle, call)
        if isinstance(found, Running):
            raise RewrapRunningError(found.lease_id, found.state)
        if isinstance(found, NoKey):
            raise InvalidStateError(
                "This tenant has no master key yet, so there is nothing to move.",
                hint="Store a first secret, or connect a key with POST /admin/tenant-kms.",
            )
        return found

    async def pause(self, call: Call, lease_id: int) -> Lease:
        """Hold it until it is resumed or cancelled. Raises invalid_state."""
        return await self._step(call, lease_id, PAUSE)

    async def resume(self, call: Call, lease_id: int) -> Lease:
        """Enqueue it again, with its counts. Raises invalid_state."""
        return await self._step(call, lease_id, RESUME)

    async def cancel(self, call: Call, lease_id: int) -> Lease:
        """End it for good. Raises invalid_state."""
        return await self._step(call, lease_id, CANCEL)

    async def update(
        self, call: Call, lease_id: int, mask: Sequence[str], throttle: int | None
    ) -> Lease:
        """Change what `mask` names: how fast it may go (None: no bound). Raises validation_error,
        invalid_state.
        """
        _require_mask(mask)
        _require_bound(throttle)
        found = await self._leases.throttle(_ref(call, lease_id), throttle, call)
        return _done(lease_id, found, "throttled")

    async def _step(self, call: Call, lease_id: int, step: Step) -> Lease:
        found = await self._leases.step(_ref(call, lease_id), step, call)
        return _done(lease_id, found, step.verb)


def _done(lease_id: int, found: Lease | Standing | None, verb: str) -> Lease:
    if found is None:
        raise NotFoundError("There is no such rewrap.")
    if isinstance(found, Standing):
        raise _refusal(lease_id, found.state, verb)
    return found


def _refusal(lease_id: int, state: str, verb: str) -> InvalidStateError:
    if state not in LIVE:
        return InvalidStateError(
            f"Rewrap {lease_id} is {state}: it has ended and cannot be {verb}.",
            hint="POST /admin/tenant-kms/rewraps starts a new one for what is still under an older key.",
        )
    if state == PAUSE.state:
        return InvalidStateError(
            f"Rewrap {lease_id} is paused already.",
            hint="Resume it to let it go on, or cancel it to end it.",
        )
    return InvalidStateError(
        f"Rewrap {lease_id} is {state}: only a paused one can be {verb}.",
        hint="It goes on by itself; `last_error` says what is in its way."
        if state == "waiting"
        else "It is at work or will be in a moment; nothing has to be done.",
    )


def _ref(call: Call, lease_id: int) -> LeaseRef:
    if not 1 <= lease_id <= _MAX_ID:
        raise NotFoundError("There is no such rewrap.")
    return LeaseRef(call.tenant, lease_id)


def _require_bound(throttle: int | None) -> None:
    if throttle is not None and not 1 <= throttle <= MAX_THROTTLE:
        raise ValidationError.of(THROTTLE, f"must be from 1 to {MAX_THROTTLE} data keys per second")


def _require_mask(mask: Sequence[str]) -> None:
    if not mask:
        raise ValidationError.of("body", f"{THROTTLE} is required; null takes the bound away")
    unknown = [path for path in mask if path != THROTTLE]
    if unknown:
        told = "; ".join(f"{path} cannot be changed" for path in unknown)
        raise ValidationError(f"{told}.", fields={path: ["cannot be changed"] for path in unknown})
