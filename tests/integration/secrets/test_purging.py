"""What was deleted seven days ago is gone for ever, with its data keys; nothing else is."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from services.common.database import Database
from services.common.identity import Call
from services.secrets.purging import Purger
from services.secrets.store import PostgresOverdue, PostgresPurges, overdue
from tests.fixtures.eventually import eventually
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fixtures.database import TestDatabase
    from tests.integration.secrets.process import Process
    from tests.integration.secrets.stand import Client, Stand

OLD = "now() - interval '7 days 1 second'"
TABLES = ("secret", "secret_environment", "value_version", "data_key")


@pytest.fixture
async def purger(stand: Stand) -> AsyncIterator[Purger]:
    """A second process's, beside the service's own."""
    found = Database(stand.database.dsn("coffer_secrets_purge"), name="test", max_connections=1)
    store = Database(stand.database.dsn("coffer_secrets"), name="test", max_connections=4)
    await found.open()
    await store.open()
    yield Purger(PostgresOverdue(found), PostgresPurges(store), every_seconds=60)
    await found.close()
    await store.close()


async def delete_long_ago(client: Client, *secret_ids: str) -> None:
    for secret_id in secret_ids:
        await client.delete(secret_id)
    client.stand.database.execute(
        f"update secrets.secret set deleted_at = {OLD} where id = any (%s::uuid[])",
        (list(secret_ids),),
    )


def counts(database: TestDatabase) -> dict[str, int]:
    return {
        table: int(str(database.rows(f"select count(*) from secrets.{table}")[0][0]))
        for table in TABLES
    }


def purged(client: Client, action: str = "secret.purged") -> list[dict[str, Any]]:
    rows = client.stand.database.rows(
        "select details from audit.event where tenant_id = %s and action = %s order by seq",
        (client.tenant_id, action),
    )
    return [json.loads(str(details)) for (details,) in rows]


async def test_the_values_and_data_keys_of_old_deletions_go_and_nothing_else(
    stand: Stand, client: Client, purger: Purger
) -> None:
    other = stand.tenant("other")
    kept = [await client.create("LIVE"), await other.create("LIVE")]
    fresh = await client.create("FRESH")
    await client.delete(fresh.id)
    await client.put(kept[0].id, "second", environment="staging")
    before = counts(stand.database)
    gone = await client.create("GONE")
    await client.put(gone.id, "second")
    await client.put(gone.id, "third", environment="staging")
    theirs = await other.create("THEIRS")
    await delete_long_ago(client, gone.id)
    await delete_long_ago(other, theirs.id)
    assert await purger.turn() == 2
    assert counts(stand.database) == before
    assert purged(client) == [{"name": "GONE", "versions": 3}]
    assert purged(other) == [{"name": "THEIRS", "versions": 1}]
    assert (client.live_secrets(), other.live_secrets()) == (1, 1)
    assert (await stand.access(client.tenant_id, name="LIVE")).value == "s3cret"
    assert await purger.turn() == 0


async def test_the_service_purges_by_itself(started: tuple[Stand, Process]) -> None:
    stand, _ = started
    client = stand.tenant()
    made = await client.create("GONE")
    await delete_long_ago(client, made.id)
    stand.database.execute(
        "insert into secrets.idempotency (tenant_id, key, fingerprint, owner, claimed_until, created_at)"
        " select gen_random_uuid(), 'old', '', gen_random_uuid(), now(), now() - interval '1 day'"
    )
    await asyncio.to_thread(eventually, lambda: bool(purged(client)), "the secret is purged")
    assert counts(stand.database) == dict.fromkeys(TABLES, 0)
    kept = functools.partial(stand.database.rows, "select key from secrets.idempotency")
    await asyncio.to_thread(eventually, lambda: not kept(), "what was kept of a request is cleared")
    stand.database.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name, closed_at)"
        " values (%s, gen_random_uuid(), 'closed', 'Closed', now() - interval '16 minutes')",
        (client.tenant_id,),
    )
    closed = functools.partial(
        stand.database.rows, "select from secrets.environment where closed_at is not null"
    )
    await asyncio.to_thread(eventually, lambda: not closed(), "the deletion is finished")


async def test_two_purgers_at_once_purge_each_secret_once(
    stand: Stand, client: Client, purger: Purger
) -> None:
    made = await outcomes([client.create(f"S{number}") for number in range(120)])
    await outcomes([client.delete(one.id) for one in made])
    stand.database.execute(f"update secrets.secret set deleted_at = {OLD}")
    done = await asyncio.gather(*(purger.turn() for _ in range(3)))
    await purger.turn()  # what one passed over another may have had in hand
    assert sum(done) <= 120
    assert counts(stand.database) == dict.fromkeys(TABLES, 0)
    assert sorted(event["name"] for event in purged(client)) == sorted(one.name for one in made)


async def test_a_purger_that_is_killed_has_removed_all_of_a_batch_or_nothing(
    stand: Stand, client: Client, purger: Purger
) -> None:
    made = [await client.create(f"S{number}") for number in range(3)]
    await delete_long_ago(client, *(one.id for one in made))
    before = counts(stand.database)
    with psycopg.connect(stand.database.admin_dsn) as holder:
        # The events are the last thing that it writes: so long it stands there with all of it removed.
        holder.execute(
            "select from audit.head where tenant_id = %s for update", (client.tenant_id,)
        )
        turn = asyncio.create_task(purger.turn())
        killed = functools.partial(_kill_who_waits, stand.database)
        await asyncio.to_thread(eventually, killed, "the purger waits for its last lock")
        assert await turn == 0
    assert counts(stand.database) == before
    assert await purger.turn() == 3
    assert counts(stand.database) == dict.fromkeys(TABLES, 0)
    assert len(purged(client)) == 3


def _kill_who_waits(database: TestDatabase) -> bool:
    rows = database.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        " and usename = 'coffer_secrets' and wait_event_type = 'Lock'"
    )
    return bool(rows)


async def test_a_secret_with_many_versions_does_not_make_a_transaction_without_bounds(
    stand: Stand, client: Client, purger: Purger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "MAX_VERSIONS", 3)
    made = [await client.create(f"S{number}") for number in range(4)]
    for one in made:
        await client.put(one.id, "second")
    await delete_long_ago(client, *(one.id for one in made))
    store = Database(stand.database.dsn("coffer_secrets"), name="test", max_connections=1)
    await store.open()
    done = await PostgresPurges(store).purge(
        client.tenant_id, [UUID(one.id) for one in made], Call.of_service("secrets")
    )
    await store.close()
    assert (done.purged, len(done.left)) == (1, 3)
    await purger.turn()
    assert counts(stand.database) == dict.fromkeys(TABLES, 0)


async def test_a_secret_with_more_versions_than_a_transaction_may_erase_goes_after_the_others(
    stand: Stand, client: Client, purger: Purger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "MAX_VERSIONS", 2)
    many, *few = [await client.create(f"S{number}") for number in range(3)]
    for number in range(4):
        await client.put(many.id, f"value-{number}")
        await client.put(many.id, f"value-{number}", environment="staging")
    await delete_long_ago(client, many.id, *(one.id for one in few))
    assert await purger.turn() == 3
    assert counts(stand.database) == dict.fromkeys(TABLES, 0)
    assert purged(client)[-1]["name"] == "S0"
    early = purged(client, "secret.history_erased")
    assert sum(one["versions"] for one in early) + purged(client)[-1]["versions"] == 9
