"""Batches of a rewrap move data keys and nothing else, once, under their lease's fence."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from coffer.secrets.v1 import secrets_pb2

from services.common.database import Database
from services.common.errors import CofferError
from services.common.identity import Call
from services.secrets.leases import Moved, RewrapOrder, StaleKeys
from services.secrets.store import PostgresPurges, PostgresStaleKeys
from tests.integration.secrets.damaged_page import damage
from tests.integration.secrets.stand import answered, outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand

LAST = UUID(int=2**128 - 1)


@dataclass
class Lease:
    """A running lease with one lane, as rewrap would hold it."""

    stand: Stand
    tenant_id: UUID
    target: int
    id: int = 0
    fence: int = 1
    after: bytes = b""

    def issue(self) -> Lease:
        database = self.stand.database
        rows = database.rows(
            "insert into rewrap.lease (tenant_id, reason, target_version, state, fence)"
            " values (%s, 'rotate', %s, 'running', %s) returning id",
            (self.tenant_id, self.target, self.fence),
        )
        self.id = int(str(rows[0][0]))
        database.execute(
            "insert into rewrap.lane (tenant_id, lease_id, lane, until, fence, held_until)"
            " values (%s, %s, 0, %s, %s, clock_timestamp() + interval '1 hour')",
            (self.tenant_id, self.id, LAST, self.fence),
        )
        return self

    def hold(self, until: str) -> None:
        """The lane's hold ends then, by the database's clock."""
        self.stand.database.execute(
            f"update rewrap.lane set held_until = {until} where lease_id = %s", (self.id,)
        )

    async def batch(self, limit: int = 1000, **fields: Any) -> Any:
        request = secrets_pb2.RewrapBatchRequest(
            tenant_id=str(self.tenant_id),
            lease_id=self.id,
            fence=fields.get("fence", self.fence),
            lane=0,
            target_version=self.target,
            after=fields.get("after", self.after),
            until=LAST.bytes,
            limit=limit,
        )
        return await answered(self.stand.stub("rewrap").RewrapBatch(request, timeout=30))

    async def run(self, limit: int) -> list[Any]:
        replies: list[Any] = []
        while not replies or not replies[-1].lane_finished:
            replies.append(await self.batch(limit))
            self.after = replies[-1].cursor
        return replies

    def row(self) -> tuple[object, ...]:
        return self.stand.database.rows(
            "select done, skipped, failed from rewrap.lease where id = %s", (self.id,)
        )[0]


async def _rotated(stand: Stand, count: int = 25) -> tuple[Client, Lease]:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await outcomes([client.create(f"S{number}", f"v{number}") for number in range(count)])
    target = stand.kms.rotate(client.tenant_id)
    return client, Lease(stand, client.tenant_id, target).issue()


def _census(stand: Stand) -> dict[object, object]:
    rows = stand.database.rows("select key_version, count(*) from secrets.data_key group by 1")
    return {row[0]: row[1] for row in rows}


def _moved(stand: Stand, tenant_id: UUID, found: StaleKeys) -> Moved:
    """What kms would answer: new wraps under version 2."""
    ids = [found.id(place) for place in range(len(found))]
    wraps = (stand.kms.wrap(tenant_id, 2, key_id, bytes(32)) for key_id in ids)
    return Moved(found.packed, b"".join(wraps))


async def test_everything_moves_and_still_opens_and_nothing_else_changes(stand: Stand) -> None:
    client, lease = await _rotated(stand)
    still = (
        "select s.updated_at, v.* from secrets.value_version v"
        " join secrets.secret s on s.id = v.secret_id order by v.secret_id"
    )
    before = stand.database.rows(still)
    replies = await lease.run(limit=10)
    assert [reply.done for reply in replies] == [10, 10, 5]
    assert _census(stand) == {2: 25}
    assert lease.row() == (25, 0, 0)
    assert stand.database.rows(still) == before
    stand.kms.revoke(client.tenant_id, 1)
    calls = [stand.access(client.tenant_id, name=f"S{number}") for number in range(25)]
    assert [reply.value for reply in await outcomes(calls)] == [f"v{n}" for n in range(25)]


async def test_the_same_batch_twice_at_once_counts_once(stand: Stand) -> None:
    _, lease = await _rotated(stand)
    found = await outcomes([lease.batch(10) for _ in range(4)])
    assert found.count("invalid_state") == 3
    assert lease.row() == (10, 0, 0)
    assert _census(stand) == {1: 15, 2: 10}


@pytest.mark.parametrize("wrong", [{"fence": 7}, {"after": bytes(15) + b"\x01"}])
async def test_a_worker_that_was_overtaken_changes_nothing(
    stand: Stand, wrong: dict[str, Any]
) -> None:
    _, lease = await _rotated(stand)
    with pytest.raises(CofferError) as caught:
        await lease.batch(**wrong)
    assert (caught.value.code, caught.value.reason) == ("invalid_state", "fence")
    assert _census(stand) == {1: 25}
    assert lease.row() == (0, 0, 0)


async def test_a_worker_that_was_silent_too_long_changes_nothing(stand: Stand) -> None:
    """Nobody has taken its lane yet: fence and cursor are right, and only the hold has run out."""
    _, lease = await _rotated(stand)
    lease.hold("clock_timestamp() - interval '1 microsecond'")
    with pytest.raises(CofferError) as caught:
        await lease.batch()
    assert (caught.value.code, caught.value.reason) == ("invalid_state", "fence")
    lease.hold("null")  # as a lane that was let go
    assert await outcomes([lease.batch()]) == ["invalid_state"]
    assert _census(stand) == {1: 25}
    assert lease.row() == (0, 0, 0)
    lease.hold("clock_timestamp() + interval '1 minute'")
    assert (await lease.batch()).done == 25


async def test_a_newer_rotation_stops_the_older_lease(stand: Stand) -> None:
    client, lease = await _rotated(stand)
    stand.kms.rotate(client.tenant_id)
    with pytest.raises(CofferError) as caught:
        await lease.batch()
    assert (caught.value.code, caught.value.reason) == ("invalid_state", "lease_superseded")
    assert _census(stand) == {1: 25}


async def test_a_sealed_tenants_lease_is_told_to_wait(stand: Stand) -> None:
    client, lease = await _rotated(stand)
    stand.kms.sealed.add(client.tenant_id)
    assert await outcomes([lease.batch()]) == ["tenant_sealed"]
    stand.kms.sealed.clear()
    assert (await lease.batch()).done == 25


async def test_a_damaged_key_is_recorded_and_passed_over(stand: Stand) -> None:
    _, lease = await _rotated(stand)
    rows = stand.database.rows(
        "update secrets.data_key set wrapped = overlay(wrapped placing '\\x0000'::bytea from 40)"
        " where id in (select id from secrets.data_key order by id offset 3 limit 2) returning id"
    )
    replies = await lease.run(limit=4)
    assert sum(reply.failed for reply in replies) == 2
    assert lease.row() == (23, 0, 2)
    recorded = stand.database.rows("select unnest(failed_ids) from rewrap.lease")
    assert {row[0] for row in recorded} == {row[0] for row in rows}
    assert _census(stand) == {1: 2, 2: 23}


@pytest.mark.parametrize("vacuumed", [True, False])
async def test_a_page_that_cannot_be_read_keeps_no_other_key_from_moving(
    stand: Stand, vacuumed: bool
) -> None:
    """Its keys are named by the primary key alone where that is possible, else by their values."""
    _, lease = await _rotated(stand, count=80)
    lost = stand.database.rows(
        "select id from secrets.data_key where ctid >= '(1,0)' and ctid < '(2,0)'"
    )
    assert 0 < len(lost) < 80
    if vacuumed:
        stand.database.execute("vacuum secrets.data_key")
    damage(stand.database, "secrets.data_key", page=1)
    replies = await lease.run(limit=50)
    assert len(replies) <= len(lost) + 3
    assert lease.row() == (80 - len(lost), 0, len(lost))
    recorded = stand.database.rows("select unnest(failed_ids) from rewrap.lease")
    assert sorted(recorded) == sorted(lost)


async def test_new_values_during_a_rewrap_are_neither_lost_nor_moved_twice(stand: Stand) -> None:
    client, lease = await _rotated(stand, count=40)
    made = (await client.list(per_page=40)).secrets
    puts = [client.put(row.id, f"new-{row.name}") for row in made]
    found: list[Any]
    _, found = await asyncio.gather(lease.run(limit=5), outcomes(puts))
    assert {reply.value_version for reply in found} == {2}
    assert _census(stand) == {2: 80}
    for row in made[::7]:
        reply = await stand.access(client.tenant_id, name=row.name)
        assert reply.value == f"new-{row.name}"


async def test_keys_of_a_version_that_was_erased_meanwhile_do_not_come_back(stand: Stand) -> None:
    """kms had rewrapped them before the erasure; their new wraps arrive after it."""
    client, lease = await _rotated(stand)
    order = RewrapOrder(client.tenant_id, lease.id, 1, 0, lease.target, None, LAST, 10)
    database = Database(stand.database.dsn("coffer_secrets"), name="test")
    await database.open()
    try:
        store = PostgresStaleKeys(database)
        found = await store.stale(order)
        moved = _moved(stand, client.tenant_id, found)
        stand.kms.revoke(client.tenant_id, 1)
        done = await store.swap(
            order, moved, passed_over=0, failed=(), cursor=found.cursor, finished=False
        )
    finally:
        await database.close()
    assert (len(moved), done.done, done.skipped) == (10, 0, 10)
    assert _census(stand) == {1: 25}
    lost = await outcomes([stand.access(client.tenant_id, name="S0")])
    assert lost == ["key_revoked"]


async def test_a_limit_beyond_the_contract_is_refused(stand: Stand) -> None:
    _, lease = await _rotated(stand, count=1)
    assert await outcomes([lease.batch(0), lease.batch(5001)]) == ["validation_error"] * 2


async def test_a_sealed_version_does_not_keep_the_keys_of_others_from_moving(stand: Stand) -> None:
    client, _ = await _rotated(stand, 10)
    await outcomes([client.create(f"T{number}") for number in range(30)])
    target = stand.kms.rotate(client.tenant_id)
    lease = Lease(stand, client.tenant_id, target).issue()
    stand.kms.sealed_versions.add((client.tenant_id, 1))
    with pytest.raises(CofferError) as caught:
        await lease.run(limit=15)
    assert caught.value.code == "tenant_sealed"
    assert _census(stand) == {1: 10, 3: 30}
    assert lease.row() == (30, 0, 0)
    stand.kms.sealed_versions.clear()
    await lease.run(limit=15)
    assert _census(stand) == {3: 40}
    assert lease.row() == (40, 0, 0)


async def test_a_search_among_many_moved_keys_looks_at_a_bounded_number(stand: Stand) -> None:
    client, lease = await _rotated(stand, 23)
    await lease.run(limit=100)
    # The last of all comes back under the old version, behind 22 keys that are no work any more.
    stand.database.execute(
        "update secrets.data_key set key_version = 1 where id = (select id from secrets.data_key"
        " order by id desc limit 1)"
    )
    database = Database(stand.database.dsn("coffer_secrets"), name="test")
    await database.open()
    store = PostgresStaleKeys(database, looked_at=5)
    order = RewrapOrder(client.tenant_id, 1, 1, 0, lease.target, None, LAST, 5)
    pages = [await store.stale(order)]
    while not pages[-1].finished:
        pages.append(await store.stale(replace(order, after=pages[-1].cursor)))
    await database.close()
    assert [len(page) for page in pages] == [0, 0, 0, 0, 1]
    assert [page.finished for page in pages] == [False, False, False, False, True]


async def test_keys_that_were_purged_meanwhile_are_passed_over_and_counted(stand: Stand) -> None:
    client, lease = await _rotated(stand, count=6)
    database = Database(stand.database.dsn("coffer_secrets"), name="test", max_connections=2)
    await database.open()
    store = PostgresStaleKeys(database)
    order = RewrapOrder(client.tenant_id, lease.id, 1, 0, 2, None, LAST, 100)
    found = await store.stale(order)
    ids = [UUID(secret.id) for secret in (await client.list(per_page=2)).secrets]
    for secret_id in ids:
        await client.delete(str(secret_id))
    stand.database.execute(
        "update secrets.secret set deleted_at = now() - interval '8 days' where id = any (%s)",
        (ids,),
    )
    purges = PostgresPurges(database)
    assert (await purges.purge(client.tenant_id, ids, Call.of_service("secrets"))).purged == 2
    moved = _moved(stand, client.tenant_id, found)
    outcome = await store.swap(order, moved, passed_over=0, failed=(), cursor=LAST, finished=True)
    await database.close()
    assert (outcome.done, outcome.skipped) == (4, 2)
    assert _census(stand) == {2: 4}
