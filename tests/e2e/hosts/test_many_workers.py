"""Workers on hosts of their own share one lease, with nothing but the database and two addresses.

What would go wrong: both move the same keys, or count them twice; one that dies takes its part with it; one
that should serve only, or is somebody else, works all the same.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.hosts.conftest import KEYS, House, worker
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.hosts.hosts import Host

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PER_SECOND, SLOWLY = 5_000, 2_000
"""So that a rewrap has a middle, on any machine, in which a host can be started."""
SAMPLE = 50


@pytest.fixture
def two(house: House, tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two workers, started."""
    with ExitStack() as undo:
        one = undo.enter_context(worker(house.stack, tmp_path / "one"))
        other = undo.enter_context(worker(house.stack, tmp_path / "other"))
        one.start()
        other.start()
        yield one, other


def test_two_hosts_share_a_lease_and_each_key_is_moved_once(
    house: House, two: tuple[Host, Host]
) -> None:
    lease_id = house.rotate(PER_SECOND)
    hold_to_what_was_promised(house, lease_id)
    moved = [one.moved() for one in two]
    assert min(moved) > KEYS // 10, f"one did the work: {moved}"
    assert sum(moved) == KEYS
    row = house.holdings.lease_row(lease_id)
    assert row is not None
    assert sum(one.keys().get("verified", 0) for one in two) == row["verified"] > 0


def test_what_a_dead_host_had_begun_is_done_by_the_other(
    house: House, two: tuple[Host, Host]
) -> None:
    lease_id = house.rotate(PER_SECOND)
    one, other = two
    eventually(lambda: min(one.moved(), other.moved()) > KEYS // 10, "both are at work")
    assert house.done(lease_id) < KEYS, "the kill missed the middle"
    one.kill()
    hold_to_what_was_promised(house, lease_id)
    assert KEYS // 10 < other.moved() < KEYS


def test_a_host_that_comes_late_helps_and_one_that_leaves_lets_go(
    house: House, tmp_path: Path
) -> None:
    with (
        worker(house.stack, tmp_path / "first") as first,
        worker(house.stack, tmp_path / "late") as late,
    ):
        first.start()
        lease_id = house.rotate(SLOWLY)
        eventually(lambda: first.moved() > 0, "the first is at work")
        late.start()
        eventually(lambda: late.moved() > 0, "the second helps")
        first.stop()
        assert house.done(lease_id) < KEYS, "the end came before the first had left"
        hold_to_what_was_promised(house, lease_id)


def test_a_process_that_is_no_worker_serves_and_dispatches_and_moves_nothing(
    house: House, tmp_path: Path
) -> None:
    lease_id = house.rotate()
    eventually(lambda: jobs(house), "it gives the lease its jobs")
    assert house.holdings.user.lease(lease_id)["state"] == "enqueued"
    with worker(house.stack, tmp_path / "one") as one:
        one.start()
        hold_to_what_was_promised(house, lease_id)
        assert one.moved() == KEYS
    address = house.stack.stack.address("rewrap-metrics")
    metrics = httpx.get(f"http://{address}/metrics", trust_env=False).text
    assert 'coffer_rewrap_keys_total{result="moved"}' not in metrics


@pytest.mark.parametrize("identity", ["kms", "gateway"])
def test_the_certificate_of_another_service_moves_nothing_and_keeps_nobody_from_it(
    house: House, tmp_path: Path, identity: str
) -> None:
    with (
        worker(house.stack, tmp_path / "impostor", identity=identity) as impostor,
        worker(house.stack, tmp_path / "right") as right,
    ):
        # Ready beforehand: with each refusal the lease waits longer for its next try.
        right.start()
        right.suspend()
        try:
            lease_id = house.rotate()
            impostor.start()
            eventually(lambda: "forbidden" in impostor.log, "it is refused")
            assert impostor.moved() == house.done(lease_id) == 0
        finally:
            right.resume()
        hold_to_what_was_promised(house, lease_id)
        assert (impostor.moved(), right.moved()) == (0, KEYS)


def jobs(house: House) -> bool:
    return bool(house.stack.rows("select 1 from procrastinate.procrastinate_jobs"))


def hold_to_what_was_promised(house: House, lease_id: int) -> None:
    """Completed, counted exactly, every key moved, nothing else touched; a sample of values opens."""
    holdings = house.holdings
    lease = holdings.ended(lease_id)
    assert (lease["state"], lease["failed"], lease["last_error"]) == ("completed", 0, None)
    assert (lease["total"], lease["done"], lease["skipped"]) == (KEYS, KEYS, 0)
    assert holdings.versions() == {lease["target_version"]: KEYS}
    census = holdings.user.census()
    assert {version: count for version, count in census.items() if count} == holdings.versions()
    holdings.assert_untouched()
    holdings.assert_opens(every=SAMPLE)
    holdings.assert_recorded(lease_id, "rewrap.completed")
