"""Environments that are made, renamed and deleted while others use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.secrets.groups import (
    change_environment,
    count,
    delete_environment,
    environments,
    make_environment,
    refused,
    remove_value,
)
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand

ROUNDS = 6


async def test_of_two_environments_of_one_name_there_is_one(stand: Stand) -> None:
    client = stand.tenant()
    found = await outcomes([make_environment(client, "staging") for _ in range(8)])
    assert found.count("conflict") == 7
    assert [row.name for row in await environments(client)] == ["production", "staging"]


async def test_new_defaults_at_once_leave_one(stand: Stand) -> None:
    client = stand.tenant()
    calls = [make_environment(client, f"e{n}", is_default=True) for n in range(6)]
    calls += [client.create(f"S{n}") for n in range(6)]
    found = await outcomes(calls)
    assert not [outcome for outcome in found if isinstance(outcome, str)]
    assert [row.is_default for row in await environments(client)].count(True) == 1


async def test_first_looks_and_first_writes_at_once_make_one_default(stand: Stand) -> None:
    client = stand.tenant()
    calls = [environments(client) for _ in range(6)]
    calls += [make_environment(client, f"e{n}") for n in range(3)]
    calls += [client.create(f"S{n}") for n in range(3)]
    found = await outcomes(calls)
    assert not [outcome for outcome in found if isinstance(outcome, str)]
    assert [row.name for row in await environments(client) if row.is_default] == ["production"]


async def test_nothing_is_left_in_an_environment_that_is_deleted_meanwhile(
    client: Client,
) -> None:
    old = [await client.create(f"OLD{n}") for n in range(4)]
    for turn in range(ROUNDS):
        made = await make_environment(client, "short")
        # Of removed values the counters are there.
        for secret in old[:2]:
            await client.put(secret.id, "x", environment="short")
            await remove_value(client, secret.id, "short")
        # One of the counters is there already, of a deleted secret.
        gone = await client.create(f"GONE{turn}", environment="short")
        await client.delete(gone.id)
        calls = [client.put(secret.id, "x", environment="short") for secret in old]
        calls += [client.create(f"NEW{turn}_{n}", environment="short") for n in range(4)]
        calls.insert(turn, delete_environment(client, made.id))
        found = await outcomes(calls)
        assert {outcome for outcome in found if isinstance(outcome, str)} <= {
            "conflict",
            "validation_error",
        }
        names = [row.name for row in await environments(client)]
        if "conflict" in found:
            assert "short" in names
            await change_environment(client, made.id, name=f"kept{turn}")
        else:
            assert "short" not in names
            assert found.count("validation_error") == 8
    assert count(client, "data_key") == count(client, "value_version")
    for secret in (await client.list(per_page=100)).secrets:
        await client.stand.access(client.tenant_id, secret_id=secret.id)


async def test_no_secret_gets_into_the_next_environment_of_a_name_by_mistake(
    client: Client,
) -> None:
    for turn in range(ROUNDS):
        made = await make_environment(client, "short")
        calls = [client.create(f"S{turn}_{n}", environment="short") for n in range(4)]
        calls.insert(turn % 4, change_environment(client, made.id, name=f"renamed{turn}"))
        calls.append(make_environment(client, "short"))
        found = await outcomes(calls)
        assert {outcome for outcome in found if isinstance(outcome, str)} <= {
            "conflict",
            "validation_error",
        }
        short = [row for row in await environments(client) if row.name == "short"]
        for row in short:
            await change_environment(client, row.id, name=f"done{turn}")
    assert count(client, "data_key") == count(client, "secret")


@pytest.mark.parametrize("renamed", [True, False])
async def test_what_another_process_renamed_or_deleted_is_not_used(
    client: Client, renamed: bool
) -> None:
    made = await client.create("FIRST", environment="staging")
    await client.delete(made.id)
    for table in ("value_version", "secret_environment", "secret"):
        client.stand.database.execute(f"delete from secrets.{table}")
    client.stand.database.execute(
        "update secrets.environment set name = 'qa'"
        if renamed
        else "delete from secrets.environment"
    )
    with refused("validation_error"):
        await client.create("SECOND", environment="staging")
    fresh = await make_environment(client, "staging")
    assert (await client.create("THIRD", environment="staging")).base_environment == fresh.name
