"""What breaks when a call with an idempotency key is in a hurry."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from services.common.idempotency.guard import _give_up_after
from services.common.identity import Call


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.24, 0.3, 5.0])
def test_a_call_in_a_hurry_has_time_to_claim_its_key(seconds: float) -> None:
    call = Call("api_key:x", str(uuid4()), uuid4(), deadline=time.monotonic() + seconds + 60)
    late = Call("api_key:x", str(uuid4()), uuid4(), deadline=time.monotonic() + seconds)
    assert _give_up_after(call) > 0
    # Of what is left, though this test was held up: never so much is kept that nothing is.
    assert _give_up_after(late) > 0 or time.monotonic() > (late.deadline or 0)


def test_a_copy_that_waits_hears_of_it_before_its_deadline() -> None:
    call = Call("api_key:x", str(uuid4()), uuid4(), deadline=time.monotonic() + 10)
    assert _give_up_after(call) < 10 - 0.2
