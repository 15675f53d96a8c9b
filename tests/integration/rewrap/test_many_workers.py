"""Several workers on one lease, and several leases in one worker, on a real database and queue."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from services.common.errors import UnavailableError

if TYPE_CHECKING:
    from tests.fakes.rewrap_secrets import FakeSecrets
    from tests.fakes.rewrap_stand import Stand


def _at_work(stand: Stand) -> int:
    """How many workers have a seat at some lease."""
    rows = stand.database.rows(
        "select count(distinct worker_id) from procrastinate.procrastinate_jobs"
        " where status = 'doing'"
    )
    return int(str(rows[0][0]))


async def test_a_second_worker_joins_and_every_key_is_counted_once(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 3200)
    async with stand.within("first", batch="100"), stand.within("second", batch="100"):
        lease = stand.issue(tenant)
        stand.database.execute("update rewrap.lease set throttle_per_second = 1000")
        await stand.until(lambda: _at_work(stand) == 2, "both work on it")
        assert stand.lease(lease)["finished_at"] is None
        stand.database.execute("update rewrap.lease set throttle_per_second = null")
        row = await stand.until_state(lease, "completed")
    assert (row["done"], row["skipped"], row["total"]) == (3200, 0, 3200)
    assert stand.versions(tenant) == {2: 3200}


async def test_a_worker_that_comes_later_joins_too(stand: Stand, secrets: FakeSecrets) -> None:
    tenant = stand.tenant("acme", 3200)
    lease = stand.issue(tenant)
    stand.database.execute("update rewrap.lease set throttle_per_second = 300")
    async with stand.within("first", batch="100"):
        await secrets.first_batch.wait()
        async with stand.within("second", batch="100"):
            await stand.until(lambda: _at_work(stand) == 2, "both work on it")
            stand.database.execute("update rewrap.lease set throttle_per_second = null")
            row = await stand.until_state(lease, "completed")
    assert row["done"] == row["total"] == 3200


async def test_ten_tenants_at_once_share_one_process(stand: Stand, secrets: FakeSecrets) -> None:
    tenants = [stand.tenant(f"t{n}", 400) for n in range(10)]
    secrets.gate.clear()
    async with stand.within(batch="20"):
        for tenant in tenants:
            stand.issue(tenant)
        await stand.until(lambda: _running(stand) == 10, "all are worked on")
        secrets.gate.set()
        await stand.until(lambda: sum(_done(stand)) > 2000, "half of it is done")
        done = _done(stand)
        await stand.until(lambda: _running(stand) == 0, "all are completed")
    assert min(done) > 0.5 * max(done)
    assert _done(stand) == [400] * 10
    assert secrets.most_at_once <= 4


def _running(stand: Stand) -> int:
    rows = stand.database.rows("select count(*) from rewrap.lease where state = 'running'")
    return int(str(rows[0][0]))


def _done(stand: Stand) -> list[int]:
    rows = stand.database.rows("select done from rewrap.lease order by id")
    return [int(str(row[0])) for row in rows]


async def test_two_workers_together_do_not_exceed_a_throttle(
    stand: Stand, secrets: FakeSecrets
) -> None:
    """Counted by what the lease's row says was let through, and until when: no clock of the test's.

    That they do not fall behind it either, and after changes, is in `test_throttle.py`.
    """
    tenant = stand.tenant("acme", 3200)
    lease = stand.issue(tenant)
    stand.database.execute("update rewrap.lease set throttle_per_second = 800")
    few = {"batch": "20", "lanes": "2"}
    async with stand.within("first", **few), stand.within("second", **few):
        await stand.until(lambda: int(str(stand.lease(lease)["done"])) > 200, "it goes")
        first = _moment(stand)
        await stand.until(lambda: int(str(stand.lease(lease)["done"])) > 2000, "most is done")
        second = _moment(stand)
        stand.database.execute("update rewrap.lease set throttle_per_second = null")
        await stand.until_state(lease, "completed")
    keys, seconds = second[0] - first[0], second[1] - first[1]
    # What was admitted and is under way yet: a batch of each lane of both workers at most.
    assert keys <= 800 * seconds * 1.05 + 4 * 20
    assert max(first[2], second[2]) <= 0.25


def _moment(stand: Stand) -> tuple[int, float, float]:
    """Keys moved; when the next may be admitted; and how far ahead that is."""
    rows = stand.database.rows(
        "select done, extract(epoch from throttle_free_at)::float8,"
        " extract(epoch from throttle_free_at - clock_timestamp())::float8 from rewrap.lease"
    )
    return int(str(rows[0][0])), float(str(rows[0][1])), float(str(rows[0][2]))


async def test_a_sample_is_verified_and_the_report_signed(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 1000)
    lease = stand.issue(tenant)
    async with stand.within(batch="100", verify_sample="200"):
        await stand.until_state(lease, "completed")
        await stand.until(lambda: secrets.signed == [lease], "the report is signed")
    rows = stand.database.rows("select verified, census_before, census_after from rewrap.lease")
    verified, before, after = rows[0]
    assert 180 <= int(str(verified)) <= 232
    assert before == [{"version": 1, "data_keys": 1000}]
    assert after == [{"version": 2, "data_keys": 1000}]


async def test_a_key_that_does_not_open_afterwards_is_recorded_and_the_lease_fails(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 100)
    ids = stand.database.rows("select id from secrets.data_key limit 2")
    secrets.unreadable = {UUID(str(row[0])) for row in ids}
    lease = stand.issue(tenant)
    async with stand.within():
        row = await stand.until_state(lease, "failed")
    assert (row["done"], row["failed"]) == (100, 2)
    recorded = stand.database.rows("select unnest(failed_ids) from rewrap.lease")
    assert {UUID(str(row[0])) for row in recorded} == secrets.unreadable


async def test_a_verification_that_is_out_of_reach_waits(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 100)
    secrets.verify_obstacle = UnavailableError()
    lease = stand.issue(tenant)
    async with stand.within():
        row = await stand.until_state(lease, "waiting")
        assert row["done"] == 100
        secrets.verify_obstacle = None
        await stand.until_state(lease, "completed")


async def test_poisoned_keys_are_found_passed_over_and_recorded(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 300)
    ids = stand.database.rows("select id from secrets.data_key order by id offset 77 limit 1")
    secrets.poisoned = {UUID(str(ids[0][0]))}
    others = stand.database.rows("select id from secrets.data_key order by id offset 177 limit 1")
    secrets.unverifiable = {UUID(str(others[0][0]))}
    lease = stand.issue(tenant)
    async with stand.within(batch="100"):
        row = await stand.until_state(lease, "failed")
    assert (row["done"], row["failed"]) == (299, 2)
    assert stand.database.rows("select verified from rewrap.lease") == [(298,)]
    recorded = stand.database.rows("select unnest(failed_ids) from rewrap.lease")
    assert {UUID(str(row[0])) for row in recorded} == secrets.poisoned | secrets.unverifiable
