"""A verification after a rewrap finds what does not open, by id, and changes and shows nothing."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from coffer.secrets.v1 import secrets_pb2

from services.common.database import Database
from services.common.errors import CofferError
from services.secrets.store import PostgresSamples
from services.secrets.verifying import VerifyOrder
from tests.integration.secrets import certificates
from tests.integration.secrets.damaged_page import damage
from tests.integration.secrets.stand import answered, outcomes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.secrets.stand import Client, Stand

LAST = UUID(int=2**128 - 1)
CANARY = "canary-7f3a9c-in-the-clear"
_FIRST = "(select id from secrets.data_key where tenant_id = %s order by id offset 3 limit 1)"


@dataclass
class Lane:
    """A lease that is verifying, with one lane, as rewrap would hold it."""

    stand: Stand
    tenant_id: UUID
    target: int = 1
    fence: int = 3
    after: bytes = b""
    id: int = 0

    def issue(self) -> Lane:
        database = self.stand.database
        rows = database.rows(
            "insert into rewrap.lease (tenant_id, reason, target_version, state, fence)"
            " values (%s, 'rotate', %s, 'running', %s) returning id",
            (self.tenant_id, self.target, self.fence),
        )
        self.id = int(str(rows[0][0]))
        database.execute(
            "insert into rewrap.lane (tenant_id, lease_id, lane, until, kind, quota, fence, held_until)"
            " values (%s, %s, 0, %s, 'verify', 1000, %s, clock_timestamp() + interval '1 hour')",
            (self.tenant_id, self.id, LAST, self.fence),
        )
        return self

    def hold(self, until: str) -> None:
        """The lane's hold ends then, by the database's clock."""
        self.stand.database.execute(
            f"update rewrap.lane set held_until = {until} where lease_id = %s", (self.id,)
        )

    async def batch(self, limit: int = 1000, **fields: Any) -> Any:
        request = secrets_pb2.VerifyBatchRequest(
            tenant_id=str(self.tenant_id),
            lease_id=self.id,
            fence=fields.get("fence", self.fence),
            lane=0,
            target_version=self.target,
            after=fields.get("after", self.after),
            until=LAST.bytes,
            limit=limit,
            last=fields.get("last", False),
            pass_over=fields.get("pass_over", False),
        )
        return await answered(self.stand.stub("rewrap").VerifyBatch(request, timeout=30))

    async def run(self, limit: int = 1000) -> list[Any]:
        replies: list[Any] = []
        while not replies or not replies[-1].lane_finished:
            replies.append(await self.batch(limit))
            self.after = replies[-1].cursor
        return replies

    def row(self) -> tuple[object, ...]:
        return self.stand.database.rows(
            "select l.verified, l.failed, l.failed_ids, n.quota, n.finished from rewrap.lease l"
            " join rewrap.lane n on n.lease_id = l.id where l.id = %s",
            (self.id,),
        )[0]


@pytest.fixture
async def client(stand: Stand) -> Client:
    """A tenant with 25 values under version 1: a long one, one with a history, a certificate."""
    made = stand.tenant()
    stored = await outcomes([made.create(f"S{n}", f"{CANARY}-{n}") for n in range(22)])
    await certificates.store(made, "TLS", certificates.LATER)
    await made.create("LONG", CANARY * 2000)
    await made.put(stored[0].id, "newer")
    return made


def _as_stored(stand: Stand) -> list[tuple[object, ...]]:
    return stand.database.rows(
        "select k.xmin::text, k.*, v.xmin::text, v.*, s.updated_at from secrets.value_version v"
        " join secrets.data_key k on k.id = v.data_key_id"
        " join secrets.secret s on s.id = v.secret_id order by k.id"
    )


async def test_what_is_right_is_counted_once_and_nothing_is_changed(
    stand: Stand, client: Client
) -> None:
    lane, before = Lane(stand, client.tenant_id).issue(), _as_stored(stand)
    replies = await lane.run(limit=10)
    assert [reply.verified for reply in replies] == [10, 10, 5]
    assert lane.row() == (25, 0, [], 975, True)
    assert _as_stored(stand) == before
    told = repr(stand.database.rows("select l::text, n::text from rewrap.lease l, rewrap.lane n"))
    assert CANARY not in told + repr(replies)
    assert CANARY.encode().hex() not in told


async def test_the_last_batch_ends_the_lane_when_it_has_all_that_it_was_to_find(
    stand: Stand, client: Client
) -> None:
    lane = Lane(stand, client.tenant_id).issue()
    reply = await lane.batch(7, last=True)
    assert (reply.verified, reply.lane_finished) == (7, True)
    assert lane.row() == (7, 0, [], 993, True)


async def test_a_key_that_is_passed_over_is_recorded_without_being_read_or_opened(
    stand: Stand, client: Client, service: Database
) -> None:
    rows = stand.database.rows(
        "select id from secrets.data_key where tenant_id = %s order by id limit 1",
        (client.tenant_id,),
    )
    first = UUID(str(rows[0][0]))
    lane = Lane(stand, client.tenant_id).issue()
    stand.kms.sealed_versions.add((client.tenant_id, 1))  # asked, it would refuse
    reply = await lane.batch(1000, pass_over=True)
    assert (reply.verified, reply.failed, reply.cursor) == (0, 1, first.bytes)
    stand.kms.sealed_versions.clear()
    lane.after = reply.cursor
    await lane.run()
    assert lane.row() == (24, 1, [first], 975, True)
    order = VerifyOrder(client.tenant_id, 1, 1, 0, 1, None, LAST, 1, pass_over=True)
    sample = await PostgresSamples(service).sample(order, UUID(int=0), 1)
    assert [one.field.sealed for one in sample.keys if one.field] == [None]


# What is done to a row, by its data key's id.
_DAMAGES = {
    "a wrap": "update secrets.data_key set wrapped = overlay(wrapped placing '\\x0000' from 40)"
    " where id = %s",
    "the version in a wrap": "update secrets.data_key set wrapped ="
    " overlay(wrapped placing '\\x00000002' from 5) where id = %s",
    "the wrap of another key": "update secrets.data_key d set wrapped = (select o.wrapped"
    " from secrets.data_key o order by o.id desc limit 1) where d.id = %s",
    "the wrap of another tenant": "update secrets.data_key d set wrapped = (select o.wrapped"
    " from secrets.data_key o where o.tenant_id <> d.tenant_id) where d.id = %s",
    "a sealed field": "update secrets.value_version set value ="
    " overlay(value placing '\\x0000' from 20) where data_key_id = %s",
    "a field cut short": "update secrets.value_version set value = substr(value, 1, 10)"
    " where data_key_id = %s",
    "the field of another value": "update secrets.value_version d set value = (select o.value"
    " from secrets.value_version o where o.tenant_id = d.tenant_id and o.value is not null"
    " order by o.data_key_id desc limit 1)"
    " where d.data_key_id = %s",
}


async def test_what_is_damaged_on_disk_is_found_and_recorded_by_id(
    stand: Stand, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    await stand.tenant("other").create("S", "theirs")
    rows = stand.database.rows(
        "select data_key_id from secrets.value_version where tenant_id = %s and value is not null"
        " order by data_key_id limit %s",
        (client.tenant_id, 2 * len(_DAMAGES)),
    )
    damaged = dict(zip(_DAMAGES, (row[0] for row in rows[::2]), strict=True))
    for what, key_id in damaged.items():
        stand.database.execute(_DAMAGES[what], (key_id,))
    lane = Lane(stand, client.tenant_id).issue()
    await lane.run(limit=10)
    verified, failed, ids, *_ = lane.row()
    found = {what for what, key_id in damaged.items() if key_id in set(ids)}  # type: ignore[call-overload]
    assert found == set(_DAMAGES)
    assert (verified, failed) == (25 - len(_DAMAGES), len(_DAMAGES))
    logged = capsys.readouterr().out
    assert all(str(key_id) in logged for key_id in damaged.values())
    assert CANARY not in logged


async def test_a_wrap_under_a_version_that_still_opens_is_not_taken_for_the_target(
    stand: Stand, client: Client
) -> None:
    """The column says 2, the wrap is of version 1, which kms opens: only the header tells."""
    target = stand.kms.rotate(client.tenant_id)
    ((odd,),) = stand.database.rows(
        f"update secrets.data_key set key_version = 2 where id = {_FIRST} returning id",
        (client.tenant_id,),
    )
    lane = Lane(stand, client.tenant_id, target).issue()
    await lane.run()
    assert lane.row()[:3] == (0, 1, [odd])
    again = Lane(stand, client.tenant_id, target).issue()
    stand.database.execute(
        "update rewrap.lease set failed = 1, failed_ids = array[%s] where id = %s", (odd, again.id)
    )
    await again.run()
    assert again.row()[:3] == (0, 1, [odd]), "it was recorded when it could not be moved"


@pytest.mark.parametrize(("table", "alias"), [("data_key", "k"), ("value_version", "v")])
async def test_a_page_that_cannot_be_read_keeps_no_other_key_from_being_verified(
    stand: Stand, client: Client, table: str, alias: str
) -> None:
    await outcomes([client.create(f"T{n}") for n in range(60)])
    lost = stand.database.rows(
        "select k.id from secrets.data_key k join secrets.value_version v on v.data_key_id = k.id"
        f" where {alias}.ctid >= '(1,0)' and {alias}.ctid < '(2,0)' order by k.id"
    )
    assert 0 < len(lost) < 85
    stand.database.execute("vacuum secrets.data_key, secrets.value_version")
    damage(stand.database, f"secrets.{table}", page=1)
    lane = Lane(stand, client.tenant_id).issue()
    await lane.run(limit=50)
    verified, failed, failed_ids, *_ = lane.row()
    assert (verified, failed) == (85 - len(lost), len(lost))
    assert failed_ids == [row[0] for row in lost]


async def test_a_worker_that_was_overtaken_changes_nothing_and_a_batch_counts_once(
    stand: Stand, client: Client
) -> None:
    lane = Lane(stand, client.tenant_id).issue()
    for wrong in ({"fence": 2}, {"after": bytes(15) + b"\x01"}):
        with pytest.raises(CofferError) as caught:
            await lane.batch(**wrong)
        assert (caught.value.code, caught.value.reason) == ("invalid_state", "fence")
    for until in ("clock_timestamp() - interval '1 microsecond'", "null"):
        lane.hold(until)
        assert await outcomes([lane.batch()]) == ["invalid_state"]
    lane.hold("clock_timestamp() + interval '1 minute'")
    assert await outcomes([lane.batch(0), lane.batch(1001)]) == ["validation_error"] * 2
    assert lane.row() == (0, 0, [], 1000, False)
    found = await outcomes([lane.batch(10) for _ in range(4)])
    assert found.count("invalid_state") == 3
    assert lane.row()[:2] == (10, 0)


async def test_a_sealed_tenants_lease_is_told_to_wait_and_erased_keys_are_no_fault(
    stand: Stand, client: Client
) -> None:
    lane = Lane(stand, client.tenant_id).issue()
    stand.kms.sealed_versions.add((client.tenant_id, 1))
    assert await outcomes([lane.batch()]) == ["tenant_sealed"]
    assert lane.row() == (0, 0, [], 1000, False)
    stand.kms.sealed_versions.clear()
    stand.kms.revoked.add((client.tenant_id, 1))
    reply = await lane.batch()
    assert (reply.verified, reply.failed, reply.lane_finished) == (0, 0, True)


async def test_a_data_key_without_a_value_is_recorded_by_id_and_not_taken_for_verified(
    stand: Stand, client: Client
) -> None:
    key_id = uuid.uuid4()
    stand.database.execute(
        "insert into secrets.data_key (tenant_id, id, key_version, wrapped) values (%s, %s, 1, %s)",
        (client.tenant_id, key_id, stand.kms.wrap(client.tenant_id, 1, key_id, os.urandom(32))),
    )
    lane = Lane(stand, client.tenant_id).issue()
    await lane.run()
    assert lane.row()[:3] == (25, 1, [key_id])


@pytest.fixture
async def service(stand: Stand) -> AsyncIterator[Database]:
    """The database as the service reaches it."""
    found = Database(stand.database.dsn("coffer_secrets"), name="test")
    await found.open()
    yield found
    await found.close()


async def test_few_bytes_are_read_at_once_and_none_is_left_out(
    stand: Stand, client: Client, service: Database
) -> None:
    order = VerifyOrder(client.tenant_id, 1, 1, 0, 1, None, LAST, 1000)
    store = PostgresSamples(service, part_bytes=200)
    parts = [await store.sample(order, UUID(int=0), 1000)]
    while not parts[-1].finished:
        parts.append(await store.sample(order, parts[-1].cursor, 1000))
    sizes = [
        [len(one.field.sealed or b"") for one in part.keys if one.field is not None]
        for part in parts
    ]
    assert sum(map(len, sizes)) == 25
    assert all(sum(part[:-1]) < 200 for part in sizes)
    assert [part.cut for part in parts] == [True] * (len(parts) - 1) + [False]


async def test_a_search_among_keys_of_other_versions_looks_at_a_bounded_number(
    stand: Stand, client: Client, service: Database
) -> None:
    stand.database.execute(
        "update secrets.data_key set key_version = 2 where id = (select id from secrets.data_key"
        " order by id desc limit 1)"
    )
    store = PostgresSamples(service, looked_at=10)
    order = VerifyOrder(client.tenant_id, 1, 1, 0, 2, None, LAST, 10)
    pages = [await store.sample(order, UUID(int=0), 10)]
    while not pages[-1].finished:
        after = pages[-1].cursor
        pages.append(await store.sample(replace(order, after=after), after, 10))
    assert [len(page.keys) for page in pages] == [0, 0, 1]
    assert [page.cut for page in pages] == [False] * 3
