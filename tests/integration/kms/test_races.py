"""Changes of one key ring at once, over two kms processes: at every instant exactly one version is active."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from services.common.errors import CofferError
from tests.fakes.kms_stand import onboarding, running_kms, until
from tests.fakes.kms_stored_keys import StoredKeys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

CHANGES = ("kms.key.created", "kms.onboarded", "kms.key.rotated", "kms.offboarded")
RINGS = """
    select r.next_version, r.draining, r.current_binding_id is not null,
        (select count(*) from kms.master_key k
         where k.tenant_id = r.tenant_id and k.status = 'active'),
        (select coalesce(max(k.version), 0) from kms.master_key k where k.tenant_id = r.tenant_id),
        (select count(*) from kms.master_key k where k.tenant_id = r.tenant_id),
        (select count(*) from kms.binding b
         where b.tenant_id = r.tenant_id and b.replaced_at is null),
        (select count(*) from rewrap.lease l
         where l.tenant_id = r.tenant_id and l.finished_at is null),
        (select max(l.target_version) = (select k.version from kms.master_key k
            where k.tenant_id = r.tenant_id and k.status = 'active')
         from rewrap.lease l where l.tenant_id = r.tenant_id and l.finished_at is null)
    from kms.key_ring r where r.tenant_id = %s
"""
"""Everything in one statement, so of one snapshot."""


@dataclass
class Race:
    """Two processes over one database, a tenant, and somebody who looks all the time."""

    stands: tuple[KmsStand, KmsStand]
    tenant: UUID
    bodies: list[dict[str, Any]]
    looks: int = 0
    done: list[int] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    async def watch(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Raises AssertionError at the first instant that is not as it must be."""
        while True:
            cursor = await connection.execute(RINGS, (self.tenant,))
            row = await cursor.fetchone()
            if row is not None:
                self.hold(row)
                self.looks += 1
            await asyncio.sleep(0.001)

    def hold(self, row: tuple[Any, ...]) -> None:
        """What is true of a ring at every instant."""
        next_version, draining, has_binding, active, newest, versions, bindings, live, at = row
        assert active == 1
        assert newest == versions == next_version - 1, "dense, and none given twice"
        assert bindings == int(has_binding)
        assert has_binding or not draining
        assert live <= 1, "the newest lease supersedes the others"
        assert at is not False, "and it is for the active version"

    async def change(self, call: Awaitable[Any]) -> None:
        """One of the changes; a refusal that the contract knows is noted."""
        try:
            reply = await call
        except CofferError as error:
            self.refused[f"{error.code} {error.reason or ''}".strip()] += 1
        else:
            self.done.append(getattr(reply, "new_version", 0) or reply.new_key_version)

    def put(self, at: int) -> Awaitable[Any]:
        return self.stands[at % 2].put(self.tenant, self.bodies[at % len(self.bodies)])

    def rotate(self, at: int) -> Awaitable[Any]:
        return self.stands[at % 2].rotate(self.tenant)

    def offboard(self, at: int) -> Awaitable[Any]:
        return self.stands[at % 2].offboard(self.tenant)

    async def run(self, *changes: Awaitable[Any]) -> None:
        """All of them at once, under the eyes of the watcher."""
        dsn = self.stands[0].database.admin_dsn
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            watcher = asyncio.create_task(self.watch(connection))
            seen = self.looks
            await asyncio.gather(*(self.change(change) for change in changes))

            async def looked() -> bool:
                return watcher.done() or self.looks >= seen + 2

            await until(looked, 10, "somebody looked after the last change")
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    def hold_complete(self) -> None:
        """Each acknowledged change has its version, its lease and its event, and there are no others."""
        database, who = self.stands[0].database, (self.tenant,)
        versions = [
            row[0]
            for row in database.rows(
                "select version from kms.master_key where tenant_id = %s order by version", who
            )
        ]
        assert versions == list(range(1, len(versions) + 1))
        assert sorted(self.done) == versions
        leases = database.rows(
            "select target_version, finished_at is null from rewrap.lease where tenant_id = %s"
            " order by target_version",
            who,
        )
        assert [target for target, _ in leases] == versions
        assert [live for _, live in leases] == [False] * (len(versions) - 1) + [True]
        told = database.rows(
            "select (details::jsonb ->> 'version')::int from audit.event"
            " where tenant_id = %s and action = any(%s) order by seq",
            (self.tenant, list(CHANGES)),
        )
        assert [version for (version,) in told] == versions, "one event each, in their order"


@pytest.fixture
async def race(database: TestDatabase, pki: TestPki, aws: AwsServer) -> AsyncIterator[Race]:
    tenant = database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
    with aws.control() as cloud:
        made = [cloud.create_customer(external_id=f"coffer-{tenant}") for _ in range(2)]
    async with running_kms(database, pki, aws) as one, running_kms(database, pki, aws) as two:
        yield Race((one, two), tenant, [onboarding(customer) for customer in made])


async def looked(stand: KmsStand, tenant: UUID, times: int = 1) -> None:
    """Ask for the status, which leaves a binding that was drained."""
    for _ in range(times):
        with contextlib.suppress(CofferError):
            await stand.get(tenant)


async def test_onboardings_at_once(race: Race) -> None:
    await race.run(*(race.put(at) for at in range(10)))
    assert not race.refused
    race.hold_complete()


async def test_onboardings_against_rotations(race: Race) -> None:
    await race.run(race.put(0))
    changes = [make(at) for at in range(6) for make in (race.put, race.rotate)]
    await race.run(*changes)
    # A rotation whose binding was replaced four times in a row says so (docs/adr/0010).
    assert set(race.refused) <= {"conflict"}
    race.hold_complete()
    await race.stands[0].generate(race.tenant)


async def test_rotations_against_an_offboarding(race: Race) -> None:
    await race.run(race.put(0))
    stored = StoredKeys(race.stands[0], race.tenant)
    await stored.add(20)  # so that it is not left at once
    rotations = [race.rotate(at) for at in range(6)]
    await race.run(*rotations[:3], race.offboard(0), race.offboard(1), *rotations[3:])
    assert race.refused["invalid_state draining"] >= 1, "only one of two may begin to leave"
    assert set(race.refused) == {"invalid_state draining"}
    race.hold_complete()
    status = await race.stands[1].get(race.tenant)
    assert status["draining"] is True
    assert status["keys"][0]["wrap_method"] == "global"
    await stored.hold_open()


async def test_onboardings_against_offboardings_and_their_completion(race: Race) -> None:
    await race.run(race.put(0))
    looking = [asyncio.create_task(looked(stand, race.tenant, 20)) for stand in race.stands]
    for turn in range(4):
        await race.run(race.offboard(turn), race.put(turn), race.offboard(turn + 1))
    await asyncio.gather(*looking)
    # Nothing hangs on these keys, so that each leaving ends whenever somebody looks.
    assert set(race.refused) <= {"invalid_state draining", "no_kms_config"}
    race.hold_complete()
    database, who = race.stands[0].database, (race.tenant,)
    (connected, drained), *_ = database.rows(
        "select count(*) filter (where action = 'kms.onboarded'),"
        " count(*) filter (where action = 'kms.drained') from audit.event where tenant_id = %s",
        who,
    )
    left = database.rows(
        "select count(*) filter (where replaced_at is null), count(*) from kms.binding"
        " where tenant_id = %s",
        who,
    )
    assert left[0][1] == connected
    assert isinstance(drained, int)


async def test_a_leaving_that_ends_while_a_key_is_connected_does_not_take_that_away(
    race: Race,
) -> None:
    await race.run(race.put(0))
    for turn in range(5):
        await race.run(race.offboard(turn))
        looks = [looked(stand, race.tenant) for stand in race.stands]
        await asyncio.gather(race.run(race.put(turn)), *looks)
        shown = await race.stands[turn % 2].get(race.tenant)
        assert "draining" not in shown
        assert shown["keys"][0]["wrap_method"] == "customer_kms"
    assert not race.refused
    race.hold_complete()


async def test_rotations_against_a_rewrap(race: Race) -> None:
    await race.run(race.put(0))
    stored = StoredKeys(race.stands[1], race.tenant)
    await stored.add(600)

    async def rewrapped() -> None:
        for _ in range(12):
            await stored.rewrap(50)
            await stored.hold_open(20)

    await asyncio.gather(race.run(*(race.rotate(at) for at in range(6))), rewrapped())
    assert not race.refused
    race.hold_complete()

    async def nothing_stale() -> bool:
        return not await stored.rewrap()

    await until(nothing_stale, 10, "rewrapped")
    await stored.hold_open()
    keys = (await race.stands[0].get(race.tenant))["keys"]
    assert [key.get("data_keys", "0") for key in keys] == ["600", *["0"] * (len(keys) - 1)]


async def test_first_uses_and_first_onboardings_at_once(race: Race) -> None:
    one, two = race.stands
    uses = [stand.generate(race.tenant) for stand in (one, two) for _ in range(5)]
    made, *_ = await asyncio.gather(asyncio.gather(*uses), race.run(*map(race.put, range(4))))
    assert not race.refused
    versions = [
        row[0] for row in one.database.rows("select version from kms.master_key order by 1")
    ]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) in {4, 5}, "at most one is the platform's"
    for reply in made:
        key = reply.data_keys[0]
        opened = await two.unwrap(race.tenant, (key.id, key.wrapped))
        assert opened.results[0].plaintext == key.plaintext
