"""Leases from issue to end, on a real database, with a real queue, over real gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from services.common.errors import TenantSealedError
from tests.integration.rewrap.admin import turn

if TYPE_CHECKING:
    from tests.fakes.rewrap_secrets import FakeSecrets
    from tests.fakes.rewrap_stand import Stand


async def test_an_issued_lease_is_completed_and_counts_what_was_moved(stand: Stand) -> None:
    tenant = stand.tenant("acme", 5000)
    lease = stand.issue(tenant)
    async with stand.within(batch="400"):
        row = await stand.until_state(lease, "completed")
    assert (row["total"], row["done"], row["skipped"], row["failed"]) == (5000, 5000, 0, 0)
    assert stand.versions(tenant) == {2: 5000}
    assert row["finished_at"] is not None
    assert row["rate_per_second"] is None


async def test_start_and_end_are_in_the_tenants_audit_chain(stand: Stand) -> None:
    tenant = stand.tenant("acme", 10)
    lease = stand.issue(tenant)
    async with stand.within():
        await stand.until_state(lease, "completed")
    events = stand.database.rows(
        "select action, actor, resource_id, details from audit.event where tenant_id = %s"
        " order by seq",
        (tenant,),
    )
    assert len(events) == 2
    assert events[0][:3] == ("rewrap.started", "service:rewrap", str(lease))
    assert '"total":10' in str(events[0][3])
    assert events[1][:3] == ("rewrap.completed", "service:rewrap", str(lease))
    assert '"done":10' in str(events[1][3])
    assert '"verified":10' in str(events[1][3])
    assert '"kms_calls":0' in str(events[1][3])


async def test_a_lease_issued_while_all_sleep_begins_at_once(stand: Stand) -> None:
    tenant = stand.tenant("acme", 100)
    async with stand.within(dispatch_seconds="60"):
        lease = stand.issue(tenant)
        await stand.until_state(lease, "completed")


async def test_a_tenant_without_keys_has_its_lease_completed(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 0)
    lease = stand.issue(tenant, reason="onboard")
    async with stand.within():
        row = await stand.until_state(lease, "completed")
    assert (row["total"], row["done"]) == (0, 0)
    assert secrets.batches == 0


async def test_damaged_keys_are_recorded_by_id_and_the_rest_is_moved(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 300)
    ids = stand.database.rows("select id from secrets.data_key order by id limit 3")
    secrets.damaged = {UUID(str(row[0])) for row in ids}
    lease = stand.issue(tenant)
    async with stand.within(batch="50"):
        row = await stand.until_state(lease, "failed")
    assert (row["done"], row["failed"]) == (297, 3)
    assert "3" in str(row["last_error"])
    recorded = stand.database.rows("select unnest(failed_ids) from rewrap.lease")
    assert {UUID(str(row[0])) for row in recorded} == secrets.damaged
    events = stand.database.rows("select action from audit.event order by seq")
    assert events == [("rewrap.started",), ("rewrap.failed",)]


@pytest.mark.parametrize("by", ["a forced revoke", "a purge"])
async def test_keys_that_went_away_while_a_lease_ran_are_in_its_counts(
    stand: Stand, secrets: FakeSecrets, by: str
) -> None:
    tenant = stand.tenant("acme", 300)
    stand.add_keys(tenant, 200, version=2)
    lease = stand.issue(tenant, version=3)
    secrets.gate.clear()
    async with stand.within(batch="100"):
        await secrets.first_batch.wait()
        if by == "a purge":
            stand.database.execute("delete from secrets.data_key where key_version = 1")
        else:
            turn(stand, tenant, 3)
            stand.database.execute(
                "insert into kms.master_key (tenant_id, version, id, wrap_method, check_value,"
                " status) values (%s, 1, gen_random_uuid(), 'global',"
                " decode(repeat('00', 32), 'hex'), 'revoked')",
                (tenant,),
            )
            secrets.erased.append(1)
        secrets.gate.set()
        row = await stand.until_state(lease, "completed")
    counts = {"total": 500, "done": 200, "skipped": 300, "failed": 0}
    assert {name: row[name] for name in counts} == counts
    ((told,),) = stand.database.rows(
        "select details::jsonb from audit.event where action = 'rewrap.completed'"
    )
    assert isinstance(told, dict)
    assert {name: told[name] for name in counts} == counts


async def test_a_newer_rotation_supersedes_the_lease_that_is_worked_on(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 2000)
    older = stand.issue(tenant)
    async with stand.within(batch="100"):
        secrets.gate.clear()
        await secrets.first_batch.wait()
        newer = stand.issue(tenant, version=3)
        secrets.gate.set()
        row = await stand.until_state(newer, "completed")
    old = stand.lease(older)
    assert old["state"] == "superseded"
    events = stand.database.rows(
        "select resource_id, details::jsonb ->> 'superseded_by', details::jsonb ->> 'reason'"
        " from audit.event where action = 'rewrap.superseded'"
    )
    assert events == [(str(older), str(newer), "rotate")]
    assert stand.versions(tenant) == {3: 2000}
    assert row["total"] == row["done"]


async def test_a_sealed_tenants_lease_waits_and_goes_on_by_itself(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 500)
    secrets.obstacle = TenantSealedError()
    lease = stand.issue(tenant)
    async with stand.within():
        row = await stand.until_state(lease, "waiting")
        assert "sealed" in str(row["last_error"])
        secrets.obstacle = None
        row = await stand.until_state(lease, "completed")
    assert row["done"] == 500
    assert row["last_error"] is None


async def test_a_sealed_tenant_does_not_stop_another(stand: Stand, secrets: FakeSecrets) -> None:
    sealed, open_ = stand.tenant("sealed", 100), stand.tenant("open", 100)
    secrets.obstacle = TenantSealedError()
    first = stand.issue(sealed)
    async with stand.within(concurrency="1"):
        await stand.until_state(first, "waiting")
        secrets.obstacle = None
        second = stand.issue(open_)
        await stand.until_state(second, "completed")


async def test_one_huge_tenant_does_not_starve_the_small_ones(
    stand: Stand, secrets: FakeSecrets
) -> None:
    huge = stand.tenant("huge", 3000)
    first = stand.issue(huge)
    stand.database.execute("update rewrap.lease set throttle_per_second = 500")
    async with stand.within(concurrency="1", slice_seconds="0.5"):
        await secrets.first_batch.wait()
        lease = stand.issue(stand.tenant("small", 10))
        await stand.until_state(lease, "completed")
        assert stand.lease(first)["finished_at"] is None
        stand.database.execute("update rewrap.lease set throttle_per_second = null")
        await stand.until_state(first, "completed")


async def test_a_running_lease_shows_a_rate_that_can_be_believed(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 3000)
    lease = stand.issue(tenant)
    stand.database.execute("update rewrap.lease set throttle_per_second = 1000")
    async with stand.within():
        await stand.until(
            lambda: bool(stand.lease(lease)["rate_per_second"]), "the lease shows a rate"
        )
        rate = stand.lease(lease)["rate_per_second"]
        await stand.until_state(lease, "completed")
    assert isinstance(rate, float)
    assert 100 < rate < 3000


async def test_jobs_that_are_done_leave_nothing_in_the_queue(stand: Stand) -> None:
    leases = [stand.issue(stand.tenant(f"t{n}", 20)) for n in range(5)]
    async with stand.within():
        for lease in leases:
            await stand.until_state(lease, "completed")
        await stand.until(
            lambda: stand.database.rows("select 1 from procrastinate.procrastinate_jobs") == [],
            "the queue is empty",
        )
    assert stand.database.rows("select 1 from procrastinate.procrastinate_workers") == []


async def test_a_hundred_doubled_jobs_move_nothing_twice(stand: Stand) -> None:
    tenant = stand.tenant("acme", 1000)
    lease = stand.issue(tenant)
    with psycopg.connect(stand.database.dsn("coffer_queue")) as connection:
        connection.execute(
            "insert into procrastinate_jobs (queue_name, task_name, args)"
            " select 'rewrap', 'rewrap.lease', jsonb_build_object('tenant_id', %s::text,"
            " 'lease_id', %s::bigint) from generate_series(1, 100)",
            (str(tenant), lease),
        )
    async with stand.within(batch="50", concurrency="8"):
        row = await stand.until_state(lease, "completed")
    assert (row["done"], row["total"]) == (1000, 1000)
    assert stand.versions(tenant) == {2: 1000}


@pytest.mark.parametrize("worker", ["true", "false"])
async def test_a_process_without_worker_only_dispatches(stand: Stand, worker: str) -> None:
    lease = stand.issue(stand.tenant("acme", 10))
    async with stand.within(worker=worker):
        if worker == "true":
            await stand.until_state(lease, "completed")
        else:
            await stand.until(
                lambda: (
                    len(stand.database.rows("select 1 from procrastinate.procrastinate_jobs")) == 1
                ),
                "the lease has its job",
            )
            assert stand.lease(lease)["state"] == "enqueued"


async def test_a_job_whose_end_could_not_be_written_does_not_block_its_lease(stand: Stand) -> None:
    tenant = stand.tenant("acme", 10)
    first = stand.issue(tenant)
    async with stand.within():
        await stand.until_state(first, "completed")
        expected = first + 1
        name = f"{tenant}:{expected}"
        with psycopg.connect(stand.database.dsn("coffer_queue")) as connection:
            connection.execute(
                "insert into procrastinate_jobs"
                " (queue_name, task_name, args, status, worker_id, lock, queueing_lock)"
                " select 'rewrap', 'rewrap.lease', jsonb_build_object('tenant_id', %s::text,"
                " 'lease_id', %s::bigint), 'doing', id, %s, %s from procrastinate_workers",
                (str(tenant), expected, name, name),
            )
        assert stand.issue(tenant, version=3) == expected
        await stand.until_state(expected, "completed")


async def test_a_newer_rotation_does_not_wait_for_the_count_of_an_older_lease(
    stand: Stand,
) -> None:
    """The count holds no lock: kms issues a lease while a worker still counts for the one before."""
    tenant = stand.tenant("acme", 10)
    older = stand.issue(tenant)
    with psycopg.connect(stand.database.admin_dsn) as slow:
        slow.execute("lock table secrets.data_key in access exclusive mode")
        async with stand.within():
            await stand.until(
                lambda: bool(
                    stand.database.rows(
                        "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
                        " and position('secrets.census' in query) > 0 and datname = current_database()"
                    )
                ),
                "a worker counts",
            )
            newer = stand.issue(tenant, version=3)
            slow.rollback()
            await stand.until_state(newer, "completed")
    assert stand.lease(older)["state"] == "superseded"
