"""The network between two processes breaks in the middle of a rewrap: the lease goes on when it is whole."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.e2e.crash.rewrap.holdings import Holdings, new_holdings
from tests.e2e.crash.throttle import throttled, unthrottle
from tests.faults.network import Line
from tests.faults.wiring import WiredStack, wired_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 1_500
PER_SECOND = 300
BROKEN_SECONDS = 2.0
"""Long enough that every hold of a lease or lane runs out meanwhile."""
ON_THE_WAY = (
    "rewrap-secrets",
    "secrets-kms",
    "rewrap-database",
    "secrets-database",
    "kms-database",
)


@pytest.fixture(scope="module")
def wired() -> Iterator[WiredStack]:
    with wired_stack() as made:
        yield made


def rotate_slowly(wired: WiredStack, keys: int) -> tuple[Holdings, int]:
    """A tenant whose rewrap is under way, and the lease's id."""
    holdings = new_holdings(wired.faulty.running, keys)
    with throttled(wired.faulty.running, PER_SECOND):
        lease_id = holdings.user.rotate()["rewrap_lease_id"]
    holdings.reached(lease_id, keys // 8)
    return holdings, lease_id


@pytest.mark.parametrize("line", [Line.CUT, Line.SILENT, Line.LATE], ids=lambda line: line.value)
@pytest.mark.parametrize("name", ON_THE_WAY)
def test_a_rewrap_goes_on_when_a_broken_line_is_whole_again(
    wired: WiredStack, name: str, line: Line
) -> None:
    holdings, lease_id = rotate_slowly(wired, KEYS)
    with wired.lines[name].broken(line):
        threading.Event().wait(BROKEN_SECONDS)
        row = holdings.lease_row(lease_id)
        assert row is not None
        assert row["done"] < KEYS, "the line was broken too late to matter"
    unthrottle(wired.faulty.running, lease_id)
    holdings.assert_completed(lease_id)


def test_every_line_breaks_at_once_and_what_was_sent_arrives_late(wired: WiredStack) -> None:
    holdings, lease_id = rotate_slowly(wired, KEYS)
    for name in ON_THE_WAY:
        wired.lines[name].set(Line.LATE)
    threading.Event().wait(BROKEN_SECONDS)
    for name in ON_THE_WAY:
        wired.lines[name].set(Line.WHOLE)
    unthrottle(wired.faulty.running, lease_id)
    holdings.assert_completed(lease_id)
