"""What breaks when a refusal does not say what stands in the way and what to do instead."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from services.common.errors import (
    CofferError,
    InvalidStateError,
    NotFoundError,
    RewrapRunningError,
    ValidationError,
)
from services.common.identity import Call
from services.rewrap.model import STATES, LeaseRef
from services.rewrap.steering import LIVE, NoKey, Running, Standing, Steering, Step
from tests.fakes.rewrap_leases import lease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from services.rewrap.model import Lease

CALL = Call("admin:anna", "r-1", tenant_id=uuid.uuid4())


class OneLease:
    """The port `SteeringStore`: a tenant's lease 7 in a state."""

    def __init__(self, state: str, *, key: bool = True) -> None:
        self._state = state
        self._key = key
        self.asked: list[object] = []

    async def start(
        self, tenant_id: UUID, throttle: int | None, call: Call
    ) -> Lease | Running | NoKey:
        self.asked.append(throttle)
        if not self._key:
            return NoKey()
        return Running(7, self._state) if self._state in LIVE else lease(id=8)

    async def step(self, ref: LeaseRef, step: Step, call: Call) -> Lease | Standing | None:
        self.asked.append(step.verb)
        return self._of(ref, allowed=self._state in step.allowed)

    async def throttle(
        self, ref: LeaseRef, per_second: int | None, call: Call
    ) -> Lease | Standing | None:
        self.asked.append(per_second)
        return self._of(ref, allowed=self._state in LIVE)

    def _of(self, ref: LeaseRef, *, allowed: bool) -> Lease | Standing | None:
        if ref != LeaseRef(CALL.tenant, 7):
            return None
        return lease(id=7) if allowed else Standing(self._state)


STEPS: dict[str, Callable[[Steering, int], Awaitable[Lease]]] = {
    "pause": lambda steering, found: steering.pause(CALL, found),
    "resume": lambda steering, found: steering.resume(CALL, found),
    "cancel": lambda steering, found: steering.cancel(CALL, found),
    "throttle": lambda steering, found: steering.update(CALL, found, ["throttle_per_second"], 5),
}


async def refusal(call: Awaitable[Lease]) -> CofferError:
    with pytest.raises(CofferError) as refused:
        await call
    return refused.value


@pytest.mark.parametrize(
    ("step", "state", "hint"),
    [
        ("pause", "paused", "Resume it"),
        ("resume", "waiting", "by itself"),
        ("resume", "running", "nothing has to be done"),
        ("resume", "enqueued", "nothing has to be done"),
        *((step, state, "starts a new one") for step in STEPS for state in STATES[4:]),
    ],
)
async def test_a_refusal_names_the_state_and_what_can_be_done(
    step: str, state: str, hint: str
) -> None:
    error = await refusal(STEPS[step](Steering(OneLease(state)), 7))
    assert isinstance(error, InvalidStateError)
    assert state in error.message
    assert hint in str(error.hint)


@pytest.mark.parametrize(("state", "hint"), [("paused", "cancel it"), ("running", "rewraps/7")])
async def test_a_second_start_names_the_rewrap_in_its_way(state: str, hint: str) -> None:
    error = await refusal(Steering(OneLease(state)).start(CALL, None))
    assert isinstance(error, RewrapRunningError)
    assert "Rewrap 7" in error.message
    assert hint in str(error.hint)


async def test_without_a_key_the_refusal_says_where_one_comes_from() -> None:
    error = await refusal(Steering(OneLease("completed", key=False)).start(CALL, None))
    assert isinstance(error, InvalidStateError)
    assert "POST /admin/tenant-kms" in str(error.hint)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("lease_id", [0, -1, 8, 1 << 63])
async def test_what_is_not_there_is_not_found(step: str, lease_id: int) -> None:
    assert isinstance(
        await refusal(STEPS[step](Steering(OneLease("running")), lease_id)), NotFoundError
    )


@pytest.mark.parametrize(
    ("mask", "throttle", "field"),
    [
        ([], None, "body"),
        ([], 5, "body"),
        (["throttle_per_second"], 0, "throttle_per_second"),
        (["throttle_per_second"], 1_000_001, "throttle_per_second"),
        (["state", "throttle_per_second"], 5, "state"),
    ],
)
async def test_a_wrong_change_is_named_and_reaches_no_lease(
    mask: list[str], throttle: int | None, field: str
) -> None:
    store = OneLease("running")
    error = await refusal(Steering(store).update(CALL, 7, mask, throttle))
    assert isinstance(error, ValidationError)
    assert list(error.fields) == [field]
    assert store.asked == []


@pytest.mark.parametrize("throttle", [1, 1_000_000, None])
async def test_every_bound_in_range_is_taken(throttle: int | None) -> None:
    store = OneLease("running")
    await Steering(store).update(CALL, 7, ["throttle_per_second"], throttle)
    assert store.asked == [throttle]
