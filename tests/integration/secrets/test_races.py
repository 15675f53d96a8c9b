"""What must hold when many calls come at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from coffer.secrets.v1 import secrets_pb2

from services.common.errors import CofferError
from tests.fixtures.eventually import eventually
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.fixtures.database import TestDatabase
    from tests.integration.secrets.stand import Client, Stand


async def test_a_plan_admits_exactly_its_limit(stand: Stand) -> None:
    client = stand.tenant(plan="starter")
    found = await outcomes([client.create(f"S{number}") for number in range(60)])
    assert found.count("plan_limit") == 35
    assert client.live_secrets() == 25
    assert (await client.list()).page.total == 25


async def test_tenants_whose_rows_are_held_stop_no_other_tenants_writes(stand: Stand) -> None:
    clients = [stand.tenant(f"held-{number}") for number in range(4)]
    made = [await client.create("ONE") for client in clients]
    free = stand.tenant("free")
    mine = await free.create("ONE")
    with psycopg.connect(stand.database.admin_dsn) as holder:
        for client in clients:
            query = "select from secrets.usage where tenant_id = %s for update"
            holder.execute(query, (client.tenant_id,))
        held = [
            asyncio.create_task(client.delete(secret.id))
            for client, secret in zip(clients, made, strict=True)
            for _ in range(2)
        ]
        await asyncio.to_thread(
            eventually, lambda: waiting_for_locks(stand.database) == 4, "one waits of each tenant"
        )
        assert (await free.put(mine.id, "new")).value_version == 2
        await free.delete(mine.id)
        await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        holder.rollback()
    found = await asyncio.gather(*held, return_exceptions=True)
    refused = [error for error in found if isinstance(error, CofferError)]
    assert {(error.code, error.retry_after) for error in refused} >= {("unavailable", 1)}
    assert {error.code for error in refused} <= {"unavailable", "not_found"}


def waiting_for_locks(database: TestDatabase) -> int:
    """How many transactions of the service wait for what another holds."""
    ((count,),) = database.rows(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and usename = 'coffer_secrets' and wait_event_type = 'Lock'"
    )
    return int(str(count))


async def test_a_taken_name_takes_no_slot_of_the_plan(stand: Stand) -> None:
    client = stand.tenant(plan="starter")
    await outcomes([client.create(f"S{number}") for number in range(20)])
    names = [f"S{number}" for number in range(20)] + [f"NEW{number}" for number in range(10)]
    found = await outcomes([client.create(name) for name in names])
    assert sum(not isinstance(outcome, str) for outcome in found) == 5
    assert client.live_secrets() == 25


async def test_of_many_creates_of_one_name_one_wins(stand: Stand) -> None:
    client = stand.tenant()
    found = await outcomes([client.create("SAME") for _ in range(40)])
    assert found.count("conflict") == 39
    assert client.live_secrets() == 1


async def test_one_bad_create_does_not_fail_its_neighbours(stand: Stand) -> None:
    client = stand.tenant()
    calls = [client.create(f"S{number}") for number in range(30)]
    calls.insert(15, client.create("S0", collection_id=str(uuid4())))
    found = await outcomes(calls)
    assert sum(not isinstance(outcome, str) for outcome in found) == 30
    assert found[15] == "validation_error"
    events = stand.database.rows("select action, count(*) from audit.event group by 1 order by 1")
    assert events == [("environment.created", 1), ("secret.created", 30)]


async def test_first_creates_at_once_make_one_default_environment(stand: Stand) -> None:
    client = stand.tenant()
    found = await outcomes([client.create(f"S{number}") for number in range(20)])
    assert not any(isinstance(outcome, str) for outcome in found)
    rows = stand.database.rows("select name, is_default from secrets.environment")
    assert rows == [("production", True)]


async def test_concurrent_puts_lose_no_version_and_repeat_none(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    made = await client.create("ONE")
    found = await outcomes([client.put(made.id, f"value-{number}") for number in range(30)])
    versions = {reply.value_version: number for number, reply in enumerate(found)}
    assert sorted(versions) == list(range(2, 32))
    for version in (2, 17, 31):
        reply = await stand.access(client.tenant_id, name="ONE", value_version=version)
        assert reply.value == f"value-{versions[version]}"


async def test_of_puts_with_the_same_if_match_one_wins(stand: Stand) -> None:
    client = stand.tenant()
    made = await client.create("ONE")
    found = await outcomes([client.put(made.id, "x", if_match=1) for _ in range(10)])
    assert found.count("version_mismatch") == 9
    assert (await client.get(made.id)).value_version == 2


async def test_a_deleted_name_is_free_at_once_and_so_is_its_slot(stand: Stand) -> None:
    client = stand.tenant()
    made = await client.create("ONE")
    found = await outcomes([client.delete(made.id) for _ in range(5)])
    assert found.count("not_found") == 4
    assert client.live_secrets() == 0
    again = await client.create("ONE")
    assert again.id != made.id
    with pytest.raises(CofferError) as caught:
        await client.get(made.id)
    assert caught.value.code == "not_found"


async def test_a_put_makes_the_first_value_of_another_environment(stand: Stand) -> None:
    client = stand.tenant()
    made = await client.create("ONE")
    stand.database.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " values (%s, %s, 'staging', 'Staging')",
        (client.tenant_id, uuid4()),
    )
    reply = await client.put(made.id, "staged", environment="staging")
    assert (reply.environment, reply.value_version) == ("staging", 1)
    shown = await client.get(made.id)
    assert [found.environment_name for found in shown.environments] == ["production", "staging"]
    assert (shown.environment_count, shown.value_version) == (2, 1)
    request = secrets_pb2.PutSecretValueRequest(id=made.id, value="x", environment="nowhere")
    assert await outcomes([client.call("PutSecretValue", request)]) == ["validation_error"]


async def test_a_secret_and_its_environments_are_of_one_moment(client: Client) -> None:
    made = await client.create("ONE")
    done = asyncio.Event()

    async def disturb() -> None:
        removal = secrets_pb2.DeleteSecretEnvironmentRequest(id=made.id, environment_name="staging")
        while not done.is_set():
            await client.put(made.id, "x", environment="staging")
            await client.call("DeleteSecretEnvironment", removal)

    disturbing = asyncio.create_task(disturb())
    try:
        for _ in range(100):
            shown = await client.get(made.id)
            assert shown.environment_count == len(shown.environments)
    finally:
        done.set()
        await disturbing


async def test_a_full_plan_hides_no_fault_in_the_fields(stand: Stand) -> None:
    client = stand.tenant(plan="starter")
    await outcomes([client.create(f"S{number}") for number in range(25)])
    codes = await outcomes(
        [
            client.create("MORE"),
            client.create("MORE", collection_id=str(uuid4())),
            client.create("MORE", environment="nowhere"),
        ]
    )
    assert codes == ["plan_limit", "validation_error", "validation_error"]
