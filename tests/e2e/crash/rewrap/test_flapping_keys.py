"""The customer's key comes and goes while a rewrap needs it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.e2e.crash.rewrap.holdings import PATIENCE_SECONDS, new_holdings
from tests.e2e.crash.throttle import throttled, unthrottle
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 2_000
PER_SECOND = 200
FLAP_SECONDS = 1.0
SEALS = 2


def test_a_key_that_flaps_every_second_delays_a_rewrap_and_spoils_nothing(
    faulty: FaultyStack,
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    cloud, key = faulty.running.cloud, holdings.customer.key_arn
    with throttled(faulty.running, PER_SECOND):
        lease_id = holdings.user.rotate()["rewrap_lease_id"]

    def flap() -> bool:
        cloud.disable(key)
        threading.Event().wait(FLAP_SECONDS)
        cloud.enable(key)
        threading.Event().wait(FLAP_SECONDS)
        sealed = [e for e in faulty.running.audit(holdings.user.id) if e.action == "kms.sealed"]
        return len(sealed) >= SEALS

    eventually(flap, f"the flapping seals the tenant {SEALS} times", seconds=PATIENCE_SECONDS)
    row = holdings.lease_row(lease_id)
    assert row is not None
    assert row["done"] < KEYS, "the key flapped too late to matter"
    unthrottle(faulty.running, lease_id)
    holdings.assert_completed(lease_id)


def test_a_denied_key_makes_a_rewrap_wait_until_it_is_allowed_again(faulty: FaultyStack) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    cloud, key = faulty.running.cloud, holdings.customer.key_arn
    with throttled(faulty.running, PER_SECOND):
        lease_id = holdings.user.rotate()["rewrap_lease_id"]
    cloud.deny(key, ["kms:Decrypt"])

    def waits() -> bool:
        row = holdings.lease_row(lease_id)
        return row is not None and row["state"] == "waiting" and row["failed"] == 0

    eventually(waits, "the lease waits for the key", seconds=PATIENCE_SECONDS)
    cloud.allow(key)
    unthrottle(faulty.running, lease_id)
    holdings.assert_completed(lease_id)
