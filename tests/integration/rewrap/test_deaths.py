"""Processes that die in the middle of a rewrap, killed for real."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.fakes.rewrap_secrets import FakeSecrets

if TYPE_CHECKING:
    from tests.fakes.rewrap_stand import Stand

pytestmark = pytest.mark.slow


async def test_a_killed_workers_lease_is_taken_over_by_another(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 2000)
    lease = stand.issue(tenant)
    # So slow that it cannot end while the second process starts, however busy the machine is.
    stand.database.execute("update rewrap.lease set throttle_per_second = 50")
    async with stand.process("first", verify_sample="0") as first:
        await secrets.first_batch.wait()
        await stand.until(lambda: bool(stand.lease(lease)["done"]), "some keys are moved")
        async with stand.process("second", verify_sample="0"):
            await stand.kill(first)
            stand.database.execute("update rewrap.lease set throttle_per_second = null")
            row = await stand.until_state(lease, "completed")
    assert (row["done"], row["total"]) == (2000, 2000)
    assert stand.versions(tenant) == {2: 2000}
    assert row["fence"] == 2


async def test_a_killed_worker_goes_on_when_it_is_started_again(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 1000)
    lease = stand.issue(tenant)
    async with stand.process("first") as first:
        secrets.gate.clear()
        await secrets.first_batch.wait()
        await stand.kill(first)
    secrets.gate.set()
    async with stand.process("second"):
        row = await stand.until_state(lease, "completed")
    assert row["done"] == row["total"] == 1000


async def test_a_terminated_worker_gives_its_lease_back_at_once(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 2000)
    lease = stand.issue(tenant)
    stand.database.execute("update rewrap.lease set throttle_per_second = 500")
    async with stand.process("first") as first:
        await secrets.first_batch.wait()
        first.terminate()
        assert await first.wait() == 0
        assert stand.lease(lease)["state"] == "enqueued"
        # Its job may be queued again by then; what must not be is one that nobody works on.
        doing = "select 1 from procrastinate.procrastinate_jobs where status = 'doing'"
        assert stand.database.rows(doing) == []


async def test_secrets_that_dies_and_comes_back_finds_the_lease_waiting(stand: Stand) -> None:
    tenant = stand.tenant("acme", 1000)
    mine = FakeSecrets(stand.database.dsn("coffer_secrets"))
    async with contextlib.AsyncExitStack() as serving:
        stand.target = await serving.enter_async_context(mine.serving(stand.pki.tls("secrets")))
        async with stand.within(batch="100"):
            mine.gate.clear()
            lease = stand.issue(tenant)
            await mine.first_batch.wait()
            await serving.aclose()
            await stand.until_state(lease, "waiting")
            again = FakeSecrets(stand.database.dsn("coffer_secrets"))
            port = int(stand.target.rpartition(":")[2])
            async with again.serving(stand.pki.tls("secrets"), port):
                row = await stand.until_state(lease, "completed")
    assert row["done"] == row["total"] == 1000


async def test_a_database_that_drops_every_connection_is_waited_for(
    stand: Stand, secrets: FakeSecrets
) -> None:
    tenant = stand.tenant("acme", 3000)
    lease = stand.issue(tenant)
    stand.database.execute("update rewrap.lease set throttle_per_second = 1500")
    async with stand.within():
        await secrets.first_batch.wait()
        for _ in range(3):
            stand.database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
            moved = stand.lease(lease)["done"]
            await stand.until(
                lambda moved=moved: stand.lease(lease)["done"] != moved,  # type: ignore[misc]
                "the lease goes on",
            )
        row = await stand.until_state(lease, "completed")
    assert row["done"] == row["total"] == 3000
    assert stand.versions(tenant) == {2: 3000}
