"""A data key that moves, and breaks every verification it is in: found, passed over, named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.crash.rewrap.holdings import new_holdings
from tests.faults.plan import ALWAYS, Fault

if TYPE_CHECKING:
    from uuid import UUID

    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 300


def test_a_key_that_breaks_every_verification_is_named_and_the_lease_ends(
    faulty: FaultyStack,
) -> None:
    holdings = new_holdings(faulty.running, KEYS)
    rows = holdings.stack.rows(
        "select id from secrets.data_key where tenant_id = %s order by id offset 100 limit 1",
        (holdings.user.id,),
    )
    poison: UUID = rows[0][0]
    faulty.faults.arm(Fault("kms-verify-opened", "raise", ALWAYS, poison.bytes.hex()))
    lease = holdings.ended(holdings.user.rotate()["rewrap_lease_id"])
    faulty.faults.disarm()
    assert (lease["state"], lease["failed"], lease["failed_ids"]) == ("failed", 1, [poison])
    assert (lease["done"], lease["verified"]) == (KEYS, KEYS - 1)
    holdings.assert_moved(lease["target_version"])
    holdings.assert_untouched()
    holdings.assert_opens()
