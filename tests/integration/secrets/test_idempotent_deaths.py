"""A process that is killed while it serves a request, and the same request sent again.

A trigger holds up what the process does at the instant that is wanted: it waits for a lock that the test has.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from coffer.secrets.v1 import secrets_pb2

from services.common.errors import CofferError
from tests.fixtures.eventually import eventually
from tests.integration.secrets.stand import Stand, answered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fixtures.database import TestDatabase
    from tests.integration.secrets.process import Process
    from tests.integration.secrets.stand import Client

LOCK = 7201
HOLD_UP = f"""
create function public.hold_up() returns trigger language plpgsql security definer as $$
begin
    perform pg_advisory_xact_lock_shared({LOCK});
    return new;
end
$$;
"""
BEFORE_THE_WORK = """
create trigger hold_up before insert on secrets.secret for each row execute function public.hold_up()
"""
IN_THE_COMMIT = """
create constraint trigger hold_up after insert on secrets.secret deferrable initially deferred
    for each row execute function public.hold_up()
"""
HELD_UP = f"""
select count(*) from pg_locks where locktype = 'advisory' and objid = {LOCK} and not granted
    and database = (select oid from pg_database where datname = current_database())
"""


@asynccontextmanager
async def held_up(database: TestDatabase, trigger: str) -> AsyncIterator[None]:
    """Whoever comes to the trigger waits until the block ends."""
    database.execute(HOLD_UP)
    database.execute(trigger)
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as holder:
        await holder.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        yield


def nobody_waits(database: TestDatabase) -> bool:
    return database.rows(HELD_UP) == [(0,)]


async def create(client: Client) -> tuple[Any, bool]:
    metadata = (("authorization", f"Bearer {client.api_key}"), ("idempotency-key", "k"))
    request = secrets_pb2.CreateSecretRequest(name="ONE", value="s3cret")
    call = client.stand.stub().CreateSecret(request, metadata=metadata, timeout=30)
    reply = await answered(call)
    return reply.secret, ("idempotent-replayed", "true") in tuple(await call.initial_metadata())


async def killed_while_it_serves(
    stand: Stand, process: Process, client: Client, trigger: str
) -> None:
    async with held_up(stand.database, trigger):
        lost = asyncio.create_task(create(client))
        await asyncio.to_thread(
            eventually, lambda: not nobody_waits(stand.database), "the process is held up"
        )
        await process.end(signal.SIGKILL)
        with pytest.raises(CofferError):
            await lost
    await asyncio.to_thread(eventually, lambda: nobody_waits(stand.database), "the lock is free")
    await stand.aclose()


async def test_a_death_between_commit_and_answer_is_answered_with_what_was_done(
    started: tuple[Stand, Process],
) -> None:
    stand, process = started
    client = stand.tenant()
    await killed_while_it_serves(stand, process, client, IN_THE_COMMIT)
    ((made,),) = await asyncio.to_thread(
        eventually, lambda: stand.database.rows("select id from secrets.secret"), "it commits"
    )
    again = Stand(stand.database, stand.pki, stand.kms, await process.start())
    retried, is_replayed = await create(_of(client, again))
    assert (retried.id, is_replayed) == (str(made), True)
    _done_once(stand)
    await again.aclose()


async def test_a_death_between_claim_and_commit_is_made_good_by_the_next_copy(
    started: tuple[Stand, Process],
) -> None:
    stand, process = started
    client = stand.tenant()
    await killed_while_it_serves(stand, process, client, BEFORE_THE_WORK)
    assert stand.database.rows("select 1 from secrets.secret") == []
    again = Stand(stand.database, stand.pki, stand.kms, await process.start())
    # The owner's time runs out by itself; here it ran out at once.
    stand.database.execute("update secrets.idempotency set claimed_until = created_at")
    _, is_replayed = await create(_of(client, again))
    assert not is_replayed
    _done_once(stand)
    await again.aclose()


def _of(client: Client, stand: Stand) -> Client:
    return type(client)(stand, client.tenant_id, client.api_key)


def _done_once(stand: Stand) -> None:
    for query in (
        "select count(*) from secrets.secret",
        "select live_secrets from secrets.usage",
        "select count(*) from audit.event where action = 'secret.created'",
        "select count(*) from secrets.idempotency where reply is not null",
    ):
        assert stand.database.rows(query) == [(1,)], query
