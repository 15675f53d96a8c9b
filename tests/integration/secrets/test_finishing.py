"""A deletion of an environment that was cut off comes to its end; nothing else is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from services.common.database import Database
from services.common.identity import Call
from services.secrets import finishing
from services.secrets.environments import Environments
from services.secrets.finishing import Finisher
from services.secrets.groups import Refusal, Unfinished
from services.secrets.store import PostgresClosedEnvironments, PostgresEnvironments, emptying
from services.secrets.writing import write_places
from tests.integration.secrets.groups import count, environments, make_environment, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.secrets.stand import Client, Stand

LONG_AGO = "interval '15 minutes 1 second'"


@pytest.fixture
async def store(stand: Stand) -> AsyncIterator[PostgresEnvironments]:
    """A second process's, beside the service's own."""
    database = Database(stand.database.dsn("coffer_secrets"), name="test", max_connections=2)
    await database.open()
    yield PostgresEnvironments(database)
    await database.close()


@pytest.fixture
async def closed(stand: Stand) -> AsyncIterator[PostgresClosedEnvironments]:
    database = Database(stand.database.dsn("coffer_secrets_purge"), name="test", max_connections=1)
    await database.open()
    yield PostgresClosedEnvironments(database)
    await database.close()


@pytest.fixture
def finisher(store: PostgresEnvironments, closed: PostgresClosedEnvironments) -> Finisher:
    return Finisher(closed, Environments(store, write_places()), every_seconds=60)


async def names(client: Client) -> list[str]:
    return [row.name for row in await environments(client)]


async def cut_off(
    client: Client, store: PostgresEnvironments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do the first part of deleting `staging`, where three deleted secrets have a value."""
    staging = next(row for row in await environments(client) if row.name == "staging")
    for number in range(3):
        made = await client.create(f"S{number}")
        await client.put(made.id, "x", environment="staging")
        await client.delete(made.id)
    with monkeypatch.context() as patch:
        patch.setattr(emptying, "AT_A_TIME", 1)
        begun = await store.delete(
            client.tenant_id, UUID(staging.id), None, Call.of_service("secrets")
        )
    assert isinstance(begun, Unfinished)


def age(client: Client) -> None:
    client.stand.database.execute(
        f"update secrets.environment set closed_at = closed_at - {LONG_AGO} where tenant_id = %s",
        (client.tenant_id,),
    )


async def test_a_deletion_that_was_cut_off_long_ago_is_finished_and_no_other(
    stand: Stand,
    client: Client,
    store: PostgresEnvironments,
    finisher: Finisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = stand.tenant("other")
    await make_environment(other, "staging")
    await cut_off(client, store, monkeypatch)
    await cut_off(other, store, monkeypatch)
    assert await finisher.turn() == 0, "who asked may be at it still"
    age(client)
    assert await finisher.turn() == 1
    assert await names(client) == ["production"]
    assert count(client, "data_key") == count(client, "value_version") == 3
    gone = told(client, "secret.environment_removed")
    assert sorted(details["name"] for _, details in gone) == ["S0", "S1", "S2"]
    assert [details["name"] for _, details in told(client, "environment.deleted")] == ["staging"]
    assert await names(other) == ["production", "staging"]
    assert count(other, "data_key") == count(other, "value_version") == 5
    assert await finisher.turn() == 0


async def test_one_that_cannot_be_finished_keeps_no_other_from_it(
    stand: Stand,
    client: Client,
    store: PostgresEnvironments,
    finisher: Finisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finishing, "LOOKED_FOR", 1)
    broken = uuid4()
    delete = store.delete

    async def fail(tenant_id: UUID, environment_id: UUID, *rest: Any) -> Any:
        if environment_id == broken:
            raise ZeroDivisionError
        return await delete(tenant_id, environment_id, *rest)

    monkeypatch.setattr(store, "delete", fail)
    held = await client.create("HELD")
    await client.put(held.id, "x", environment="staging")
    place = "insert into secrets.environment (tenant_id, id, name, display_name, closed_at)"
    stand.database.execute(
        "update secrets.environment set closed_at = now() - interval '2 days' where name = 'staging'"
    )
    for environment_id, name, days in ((broken, "broken", 1), (uuid4(), "empty", 0)):
        stand.database.execute(
            f"{place} values (%s, %s, %s, %s, now() - interval '{days} days' - {LONG_AGO})",
            (client.tenant_id, environment_id, name, name),
        )
    assert await finisher.turn() == 1
    assert await names(client) == ["broken", "production", "staging"]
    in_use = next(row for row in await environments(client) if row.name == "staging")
    call = Call.of_service("secrets")
    assert await delete(client.tenant_id, UUID(in_use.id), None, call) is Refusal.IN_USE
