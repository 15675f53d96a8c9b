"""Clocks that jump: what is stored is suddenly an hour old, or an hour ahead.

To a statement that compares with `clock_timestamp()` a shift of every stored moment is the same as a jump of
the database's clock the other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.e2e.crash.rewrap.holdings import PATIENCE_SECONDS, Holdings, new_holdings
from tests.e2e.crash.throttle import throttled, unthrottle
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 1_000
PER_SECOND = 150
JUMPS = {"forward": "- interval '1 hour'", "back": "+ interval '1 hour'"}
"""What a jump of the clock that way does to stored moments, seen from the clock."""

_MOMENTS = """
select table_schema || '.' || table_name, column_name from information_schema.columns
where data_type = 'timestamp with time zone' and table_schema in ('rewrap', 'procrastinate')
    and table_name <> 'idempotency'
order by 1, 2
"""


def jump(faulty: FaultyStack, which: str) -> None:
    """Every moment that rewrap and its queue have stored, of all tenants, in one transaction."""
    shift = JUMPS[which]
    columns: dict[str, list[str]] = {}
    for table, column in faulty.running.rows(_MOMENTS):
        columns.setdefault(table, []).append(column)
    with psycopg.connect(faulty.running.stack.admin_dsn) as connection:
        for table, moments in columns.items():
            changes = ", ".join(f"{column} = {column} {shift}" for column in moments)
            connection.execute(f"update {table} set {changes}".encode())


def rotate_slowly(faulty: FaultyStack) -> tuple[Holdings, int]:
    holdings = new_holdings(faulty.running, KEYS)
    with throttled(faulty.running, PER_SECOND):
        lease_id = holdings.user.rotate()["rewrap_lease_id"]
    holdings.reached(lease_id, KEYS // 10)
    return holdings, lease_id


@pytest.mark.parametrize("which", JUMPS)
def test_a_running_rewrap_goes_on_when_the_clock_jumps(faulty: FaultyStack, which: str) -> None:
    holdings, lease_id = rotate_slowly(faulty)
    jump(faulty, which)
    unthrottle(faulty.running, lease_id)
    holdings.assert_completed(lease_id)


@pytest.mark.parametrize("which", JUMPS)
def test_a_waiting_rewrap_comes_back_when_the_clock_jumps(faulty: FaultyStack, which: str) -> None:
    holdings, lease_id = rotate_slowly(faulty)
    cloud, key = faulty.running.cloud, holdings.customer.key_arn
    cloud.disable(key)

    def waits() -> bool:
        row = holdings.lease_row(lease_id)
        return row is not None and row["state"] == "waiting"

    eventually(waits, "the lease waits for the key", seconds=PATIENCE_SECONDS)
    cloud.enable(key)
    jump(faulty, which)
    unthrottle(faulty.running, lease_id)
    holdings.assert_completed(lease_id)


@pytest.mark.parametrize("which", JUMPS)
def test_a_dead_workers_rewrap_is_taken_over_when_the_clock_jumps(
    faulty: FaultyStack, which: str
) -> None:
    holdings, lease_id = rotate_slowly(faulty)
    stack = faulty.running.stack
    killed = stack.kill("rewrap")
    jump(faulty, which)
    unthrottle(faulty.running, lease_id)
    stack.wait_ready("rewrap", other_than=killed, seconds=PATIENCE_SECONDS)
    holdings.assert_completed(lease_id)


@pytest.mark.parametrize("hours", [1, -1], ids=["fast", "slow"])
def test_a_worker_whose_own_clock_is_wrong_takes_over_what_a_dead_one_left(
    faulty: FaultyStack, hours: int
) -> None:
    holdings, lease_id = rotate_slowly(faulty)
    stack = faulty.running.stack
    faulty.faults.skew("rewrap", 3600 * hours)
    try:
        killed = stack.kill("rewrap")
        unthrottle(faulty.running, lease_id)
        stack.wait_ready("rewrap", other_than=killed, seconds=PATIENCE_SECONDS)
        holdings.ended(lease_id)
    finally:
        faulty.faults.skew("rewrap", 0)
        killed = stack.kill("rewrap")
        stack.wait_ready("rewrap", other_than=killed, seconds=PATIENCE_SECONDS)
    holdings.assert_completed(lease_id)
