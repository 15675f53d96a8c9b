"""Copies of a request with one idempotency key, told apart by nothing but who comes first.

Two guards over one database stand for two processes. The work of a request is an audit event: how many there
are is how often it was done.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from coffer.secrets.v1 import secrets_pb2
from google.protobuf import field_mask_pb2

from services.common import audit
from services.common.database import Database
from services.common.errors import (
    CofferError,
    ConflictError,
    NotFoundError,
    TenantSealedError,
    UnavailableError,
    ValidationError,
)
from services.common.idempotency import clearing, store
from services.common.idempotency.guard import Guard, Patience
from services.common.identity import Call, enter_call
from services.common.rpc import responses
from services.common.rpc.answering import answer
from services.common.rpc.repeats import Repeats
from services.common.sensitive import SecretBytes
from tests.fixtures.database import fresh_database
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from uuid import UUID

    from tests.fixtures.database import TestDatabase, TestServer

SERVICE = secrets_pb2.DESCRIPTOR.services_by_name["SecretsService"]
RENAME = "/coffer.secrets.v1.SecretsService/PutSecretValue"
UPDATE = "/coffer.secrets.v1.SecretsService/UpdateSecret"
LASTING = Patience(claim=60.0, renewal=30.0)


class Replies(list[tuple[str, str]]):
    """A gRPC context that keeps the headers of its response."""

    async def send_initial_metadata(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.extend(headers)


@dataclass
class Side:
    """One process: its guard, and the store that its work is done in."""

    pool: Database
    repeats: Repeats
    counted: Counter[str] = field(default_factory=Counter)

    async def ask(
        self,
        tenant_id: UUID,
        work: Callable[[Call], Awaitable[int]],
        *,
        key: str = "once",
        value: str = "one",
        seconds: float = 30.0,
    ) -> tuple[int, bool]:
        """What is answered, and whether it is replayed. In a task of its own, as every rpc is."""
        return await asyncio.create_task(self._ask(tenant_id, work, key, value, seconds))

    async def _ask(
        self,
        tenant_id: UUID,
        work: Callable[[Call], Awaitable[int]],
        key: str,
        value: str,
        seconds: float,
    ) -> tuple[int, bool]:
        call = Call("api_key:x", str(uuid4()), tenant_id, deadline=time.monotonic() + seconds)
        enter_call(call)
        responses.begin()
        request = secrets_pb2.PutSecretValueRequest(id="x", value=value)

        async def serve() -> Any:
            return await answer(
                work, lambda number: secrets_pb2.PutSecretValueResponse(value_version=number)
            )

        reply = await self.repeats.serve(RENAME, call, key, request, serve)
        headers = Replies()
        await responses.send(headers)
        return reply.value_version, ("idempotent-replayed", "true") in headers

    async def do(self, call: Call, number: int, before: Callable[[], Awaitable[Any]]) -> int:
        """The work: one transaction, which does `before` before it is completed."""
        async with self.pool.tenant(call.tenant) as connection:
            await before()
            await store.complete(connection, "secrets", call.tenant, [(call, number)])
            await audit.append(connection, call.tenant, call, [audit.Event("done", "thing")])
        return number

    def work(self, number: int, before: Callable[[], Awaitable[Any]] | None = None) -> Any:
        return lambda call: self.do(call, number, before or _nothing)


async def _nothing() -> None:
    return None


def refusing(error: CofferError) -> Any:
    async def work(_call: Call) -> int:
        raise error

    return work


@pytest.fixture(scope="module")
def shared(postgres: TestServer) -> Iterator[TestDatabase]:
    with fresh_database(postgres) as made:
        yield made


@pytest.fixture
def tenant(shared: TestDatabase) -> UUID:
    return shared.create_tenant(f"t-{uuid4()}")


@asynccontextmanager
async def a_side(database: TestDatabase, patience: Patience) -> AsyncIterator[Side]:
    pool = Database(database.dsn("coffer_secrets"), name="test", max_connections=8)
    counted: Counter[str] = Counter()
    guard = Guard(
        pool,
        "secrets",
        SecretBytes(bytes(32)),
        count=lambda outcome: counted.update([outcome]),
        patience=patience,
    )
    await pool.open()
    try:
        yield Side(pool, Repeats(guard, SERVICE, "coffer.secrets"), counted)
    finally:
        await pool.close()


@pytest.fixture
async def sides(shared: TestDatabase) -> AsyncIterator[tuple[Side, Side]]:
    async with a_side(shared, LASTING) as one, a_side(shared, LASTING) as other:
        yield one, other


def done(database: TestDatabase, tenant_id: UUID) -> int:
    rows = database.rows("select count(*) from audit.event where tenant_id = %s", (tenant_id,))
    return int(str(rows[0][0]))


def claimed(database: TestDatabase, tenant_id: UUID) -> int:
    rows = database.rows(
        "select count(*) from secrets.idempotency where tenant_id = %s", (tenant_id,)
    )
    return int(str(rows[0][0]))


def lapse(database: TestDatabase, tenant_id: UUID) -> None:
    """As if the owner of every claim had died long ago."""
    database.execute(
        "update secrets.idempotency set claimed_until = created_at where tenant_id = %s",
        (tenant_id,),
    )


async def test_copies_at_the_same_moment_do_the_work_once(
    shared: TestDatabase, tenant: UUID, sides: tuple[Side, Side]
) -> None:
    asked = [sides[n % 2].ask(tenant, sides[n % 2].work(n)) for n in range(1, 13)]
    found = await asyncio.gather(*asked)
    assert done(shared, tenant) == 1
    assert len({number for number, _ in found}) == 1
    assert sum(replayed for _, replayed in found) == 11
    assert sides[0].counted["replayed"] + sides[1].counted["replayed"] == 11


async def test_another_request_with_the_key_is_refused_also_while_the_first_is_under_way(
    shared: TestDatabase, tenant: UUID, sides: tuple[Side, Side]
) -> None:
    one, other = sides
    working, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        working.set()
        await go_on.wait()

    first = asyncio.create_task(one.ask(tenant, one.work(1, wait)))
    await working.wait()
    with pytest.raises(CofferError) as refusal:
        await other.ask(tenant, other.work(2), value="another")
    assert refusal.value.code == "idempotency_conflict"
    go_on.set()
    assert await first == (1, False)
    with pytest.raises(CofferError) as refusal:
        await other.ask(tenant, other.work(2), value="another")
    assert refusal.value.code == "idempotency_conflict"
    assert other.counted["conflict"] == 2
    assert done(shared, tenant) == 1


async def test_another_tenants_equal_key_is_another_key(
    shared: TestDatabase, tenant: UUID, sides: tuple[Side, Side]
) -> None:
    theirs = shared.create_tenant(f"t-{uuid4()}")
    assert await sides[0].ask(tenant, sides[0].work(1)) == (1, False)
    assert await sides[1].ask(theirs, sides[1].work(2), value="another") == (2, False)


async def test_a_day_later_the_key_is_new(
    shared: TestDatabase, tenant: UUID, sides: tuple[Side, Side]
) -> None:
    one, other = sides
    await one.ask(tenant, one.work(1))
    age(shared, tenant, "24 hours")
    assert await other.ask(tenant, other.work(2), value="another") == (2, False)
    assert await one.ask(tenant, one.work(3), value="another") == (2, True)
    assert one.counted["taken_over"] + other.counted["taken_over"] == 0


def age(database: TestDatabase, tenant_id: UUID, by: str) -> None:
    database.execute(
        "update secrets.idempotency set created_at = created_at - %s::interval"
        " where tenant_id = %s",
        (by, tenant_id),
    )


@pytest.mark.parametrize(
    ("schema", "cleaner"), [("secrets", "coffer_secrets_purge"), ("kms", "coffer_kms")]
)
async def test_what_is_kept_goes_after_a_day_though_its_tenant_is_heard_of_no_more(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, schema: str, cleaner: str
) -> None:
    monkeypatch.setattr(clearing, "AT_A_TIME", 2)
    for key, hours in (("a", 24), ("b", 25), ("c", 48), ("kept", 23)):
        database.execute(
            f"insert into {schema}.idempotency (tenant_id, key, fingerprint, owner, claimed_until,"
            " created_at) select gen_random_uuid(), %s, '', gen_random_uuid(), made, made"
            " from (select now() - make_interval(hours => %s) as made) as m",
            (key, hours),
        )
    pool = Database(database.dsn(cleaner), name="test", max_connections=1)
    await pool.open()
    try:
        assert await clearing.Clearing(pool, schema).turn() == 3
        assert await clearing.Clearing(pool, schema).turn() == 0
    finally:
        await pool.close()
    assert database.rows(f"select key from {schema}.idempotency") == [("kept",)]


async def test_members_of_a_body_in_another_order_are_the_same_request(
    tenant: UUID, sides: tuple[Side, Side]
) -> None:
    found = []
    for paths in (["name", "value"], ["value", "name"]):
        mask = field_mask_pb2.FieldMask(paths=paths)
        request = secrets_pb2.UpdateSecretRequest(id="x", update_mask=mask)
        responses.begin()
        call = Call("api_key:x", str(uuid4()), tenant)
        reply = secrets_pb2.Secret(name=f"after {paths[0]}")
        found.append(await sides[0].repeats.serve(UPDATE, call, "k", request, given(reply)))
        assert request.update_mask.paths == paths
    assert found[0] == found[1]


def given(reply: Any) -> Any:
    async def work() -> Any:
        return reply

    return work


async def test_the_work_of_an_owner_that_was_only_slow_is_undone_after_a_takeover(
    shared: TestDatabase, tenant: UUID, sides: tuple[Side, Side]
) -> None:
    one, other = sides
    working, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        working.set()
        await go_on.wait()

    slow = asyncio.create_task(one.ask(tenant, one.work(1, wait)))
    await working.wait()
    lapse(shared, tenant)
    assert await other.ask(tenant, other.work(2)) == (2, False)
    assert other.counted["taken_over"] == 1
    go_on.set()
    with pytest.raises(UnavailableError) as refusal:
        await slow
    assert refusal.value.retry_after == 1
    assert done(shared, tenant) == 1
    assert await one.ask(tenant, one.work(3)) == (2, True)


async def test_a_claim_is_held_for_as_long_as_its_work_takes(
    shared: TestDatabase, tenant: UUID
) -> None:
    short = Patience(claim=0.5, renewal=0.05)
    async with a_side(shared, short) as one, a_side(shared, short) as other:
        working, go_on = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            working.set()
            await go_on.wait()

        slow = asyncio.create_task(one.ask(tenant, one.work(1, wait)))
        await working.wait()
        with pytest.raises(UnavailableError) as refusal:  # at its own deadline
            await other.ask(tenant, other.work(2), seconds=2.0)
        assert refusal.value.retry_after == 1
        go_on.set()
        assert await slow == (1, False)
        assert await other.ask(tenant, other.work(3)) == (1, True)


async def test_what_waits_to_be_completed_is_waited_for_without_a_connection(
    shared: TestDatabase, tenant: UUID
) -> None:
    """Not by its copies, nor by who renews its claim; and nobody takes it over meanwhile."""
    short = Patience(claim=0.1, renewal=0.03)
    async with a_side(shared, short) as one, a_side(shared, short) as other:
        await one.ask(tenant, one.work(0), key="before")
        with psycopg.connect(shared.admin_dsn) as holder:
            holder.execute("select from audit.head where tenant_id = %s for update", (tenant,))
            first = asyncio.create_task(one.ask(tenant, one.work(1)))
            waits = functools.partial(waiting, shared)
            await asyncio.to_thread(eventually, waits, "the first waits at the audit head")
            copies = [side.ask(tenant, side.work(2), seconds=1.0) for side in (one, other) * 20]
            found = asyncio.gather(*copies, return_exceptions=True)
            most = 0
            while not found.done():
                most = max(most, waiting(shared))
                await asyncio.sleep(0.05)
        assert most == 1
        assert {type(refusal) for refusal in await found} == {UnavailableError}
        assert await first == (1, False)
        assert await other.ask(tenant, other.work(3)) == (1, True)
        assert one.counted["taken_over"] + other.counted["taken_over"] == 0


def waiting(database: TestDatabase) -> int:
    """Connections that wait for a lock."""
    rows = database.rows(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and usename = 'coffer_secrets' and wait_event_type = 'Lock'"
    )
    return int(str(rows[0][0]))


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (NotFoundError("There is no such secret."), True),
        (ConflictError("The name is taken."), True),
        (TenantSealedError(http_status=409, reason="access_denied"), True),
        (TenantSealedError(), False),
        (ConflictError("Another change came between.", retry_after=1), False),
        (ValidationError.of("name", "Must be shorter."), False),
        (UnavailableError(), False),
        (RuntimeError("a defect"), False),
    ],
)
async def test_a_refusal_of_the_effect_is_kept_and_any_other_may_be_tried_again(
    shared: TestDatabase,
    tenant: UUID,
    sides: tuple[Side, Side],
    error: Exception,
    is_kept: bool,
) -> None:
    one, other = sides
    with pytest.raises(type(error)):
        await one.ask(tenant, refusing(error))  # type: ignore[arg-type]
    if not is_kept:
        assert claimed(shared, tenant) == 0
        assert await other.ask(tenant, other.work(2)) == (2, False)
        return
    with pytest.raises(CofferError) as replayed:
        await other.ask(tenant, other.work(2))
    assert isinstance(error, CofferError)
    told = replayed.value
    assert (told.code, told.http_status, told.message) == (
        error.code,
        error.http_status,
        error.message,
    )
    assert (told.reason, told.hint, told.retry_after) == (
        error.reason,
        error.hint,
        error.retry_after,
    )
    assert other.counted["replayed"] == 1
    assert done(shared, tenant) == 0


async def test_what_was_committed_stands_although_its_caller_was_told_otherwise(
    shared: TestDatabase, tenant: UUID, sides: tuple[Side, Side]
) -> None:
    one, other = sides

    async def lose_the_connection(call: Call) -> int:
        await one.do(call, 1, _nothing)
        raise UnavailableError

    with pytest.raises(UnavailableError):
        await one.ask(tenant, lose_the_connection)
    assert await other.ask(tenant, other.work(2)) == (1, True)
    assert done(shared, tenant) == 1


async def test_work_of_a_caller_that_went_away_is_not_done_beside_it(
    shared: TestDatabase, tenant: UUID, sides: tuple[Side, Side]
) -> None:
    """Its group may be about to commit it: who comes next waits until the claim lapses."""
    one, other = sides
    working, go_on = asyncio.Event(), asyncio.Event()
    groups: list[asyncio.Task[int]] = []

    async def wait() -> None:
        working.set()
        await go_on.wait()

    async def in_a_group(call: Call) -> int:
        groups.append(asyncio.create_task(one.do(call, 1, wait)))
        return await asyncio.shield(groups[0])

    gone = asyncio.create_task(one._ask(tenant, in_a_group, "once", "one", 30.0))
    await working.wait()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    copy = asyncio.create_task(other.ask(tenant, other.work(2)))
    go_on.set()
    assert await copy == (1, True)
    await groups[0]
    assert done(shared, tenant) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "käse", "a\nb"])
async def test_a_key_that_is_none_is_refused(
    tenant: UUID, sides: tuple[Side, Side], key: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        await sides[0].ask(tenant, sides[0].work(1), key=key)
    assert list(refusal.value.fields) == ["idempotency-key"]


def test_keys_mean_something_to_what_changes_and_to_nothing_else() -> None:
    repeats = Repeats(None, SERVICE, "coffer.secrets")  # type: ignore[arg-type]
    covered = {
        rpc.name for rpc in SERVICE.methods if repeats.cover(f"/{SERVICE.full_name}/{rpc.name}")
    }
    assert {"CreateSecret", "PutSecretValue", "DeleteSecret", "CreateApiKey"} <= covered
    assert not [name for name in covered if name.startswith(("List", "Get", "Access", "Rewrap"))]


async def test_a_reply_that_cannot_be_kept_is_given_all_the_same(
    shared: TestDatabase, tenant: UUID, sides: tuple[Side, Side]
) -> None:
    one, other = sides

    async def lose_the_database(_call: Call) -> int:
        await one.pool.close()
        return 1

    assert await one.ask(tenant, lose_the_database) == (1, False)
    lapse(shared, tenant)
    assert await other.ask(tenant, other.work(2)) == (2, False)
