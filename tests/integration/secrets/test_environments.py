"""Environments: names that grants and clients go by, one default at any time, nothing left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from coffer.secrets.v1 import secrets_pb2

from services.common.database import Database
from services.common.identity import Call
from services.secrets.groups import DEFAULT_COLOR, MAX_ENVIRONMENTS, Unfinished
from services.secrets.store import emptying
from services.secrets.store.environments import PostgresEnvironments
from tests.fakes import certificates
from tests.integration.secrets.groups import (
    actions,
    change_environment,
    count,
    delete_environment,
    environments,
    make_environment,
    refused,
    remove_value,
    restore_secret,
    told,
)

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand


async def test_the_default_is_there_at_the_first_look_and_names_go_by_code_point(
    stand: Stand,
) -> None:
    client = stand.tenant()
    (first,) = await environments(client)
    assert (first.name, first.display_name, first.is_default) == ("production", "Production", True)
    await environments(client)
    made = "select action, resource_id, actor from audit.event where tenant_id = %s"
    ((action, resource, actor),) = stand.database.rows(made, (client.tenant_id,))
    assert (action, resource) == ("environment.created", first.id)
    assert str(actor).startswith("api_key:"), "the look that made it is told, and no other"
    for name in ("b", "_", "a-b", "a_b", "9"):
        await make_environment(client, name)
    names = [row.name for row in await environments(client)]
    assert names == sorted(["production", "b", "_", "a-b", "a_b", "9"])


async def test_a_new_environment_says_what_it_was_not_given(stand: Stand) -> None:
    client = stand.tenant()
    made = await make_environment(client, "staging")
    assert (made.display_name, made.color, made.is_default) == ("staging", DEFAULT_COLOR, False)
    assert not made.HasField("description")
    with refused("conflict"):
        await make_environment(client, "staging")
    with refused("conflict"):
        await make_environment(client, "production")
    assert actions(client, "environment.") == ["environment.created"] * 2


async def test_all_faults_of_an_environment_are_told_at_once(stand: Stand) -> None:
    client = stand.tenant()
    with refused("validation_error") as found:
        await make_environment(
            client, "Bad Name", display_name=" ", color="red", description="\x00"
        )
    assert set(found.value.fields) == {"name", "display_name", "color", "description"}
    with refused("validation_error") as found:
        await change_environment(client, str(uuid4()))
    assert set(found.value.fields) == {"body"}
    with refused("validation_error") as found:
        await change_environment(client, str(uuid4()), ["name", "is_default", "created_at"])
    assert set(found.value.fields) == {"name", "is_default", "created_at"}


async def test_a_new_default_takes_the_place_of_the_old_one_and_new_secrets_go_there(
    stand: Stand,
) -> None:
    client = stand.tenant()
    await client.create("BEFORE")
    live = await make_environment(client, "live", is_default=True)
    assert [row.name for row in await environments(client) if row.is_default] == ["live"]
    assert (await client.create("AFTER")).base_environment == "live"
    with refused("validation_error") as found:
        await change_environment(client, live.id, is_default=False)
    assert "is_default" in found.value.fields
    (production,) = [row for row in await environments(client) if row.name == "production"]
    await change_environment(client, production.id, is_default=True)
    await change_environment(client, live.id, is_default=False)
    assert (await client.create("AGAIN")).base_environment == "production"


async def test_null_clears_and_what_is_not_named_stays(stand: Stand) -> None:
    client = stand.tenant()
    made = await make_environment(
        client, "staging", display_name="Staging area", description="d", color="#F59E0B"
    )
    changed = await change_environment(client, made.id, ["description"])
    assert not changed.HasField("description")
    assert (changed.display_name, changed.color) == ("Staging area", "#F59E0B")
    changed = await change_environment(client, made.id, ["display_name", "color"], name="qa")
    assert (changed.name, changed.display_name, changed.color) == ("qa", "qa", DEFAULT_COLOR)
    with refused("conflict"):
        await change_environment(client, made.id, name="production")


async def test_a_renamed_environment_keeps_its_values(client: Client) -> None:
    staging = next(row for row in await environments(client) if row.name == "staging")
    await client.create("S", "kept", environment="staging")
    await change_environment(client, staging.id, name="qa")
    answer = await client.stand.access(client.tenant_id, name="S", environment="qa")
    assert answer.value == "kept"
    with refused("validation_error"):
        await client.create("OTHER", environment="staging")
    assert (await client.create("OTHER", environment="qa")).base_environment == "qa"


@pytest.mark.parametrize("granted", ["staging", "qa"])
async def test_a_rename_neither_widens_nor_narrows_a_grant(client: Client, granted: str) -> None:
    staging = next(row for row in await environments(client) if row.name == "staging")
    client.stand.database.execute(
        "insert into tenancy.consumer_grant (tenant_id, id, consumer, environment_names)"
        " values (%s, %s, 'billing', %s)",
        (client.tenant_id, uuid4(), ["other", granted]),
    )
    with refused("conflict", "grant"):
        await change_environment(client, staging.id, name="qa")
    assert (await change_environment(client, staging.id, name="staging")).name == "staging"


async def test_an_environment_in_use_or_default_stays(client: Client) -> None:
    listed = {row.name: row for row in await environments(client)}
    with refused("conflict", "default"):
        await delete_environment(client, listed["production"].id)
    made = await client.create("S")
    await client.put(made.id, "x", environment="staging")
    with refused("conflict", "values"):
        await delete_environment(client, listed["staging"].id)
    assert actions(client, "environment.") == ["environment.created"], "the default one, no other"


async def test_a_deleted_environment_takes_values_of_deleted_secrets_and_counters_along(
    client: Client,
) -> None:
    staging = next(row for row in await environments(client) if row.name == "staging")
    live = await client.create("LIVE")
    await client.put(live.id, "x", environment="staging")
    await remove_value(client, live.id, "staging")
    both = await client.create("BOTH")
    await client.put(both.id, "x", environment="staging")
    await client.put(both.id, "y", environment="staging")
    await client.delete(both.id)
    before = len(told(client, "secret."))
    assert (await delete_environment(client, staging.id)).deleted
    # What was erased is named, once; the live secret's value was removed, and told of, before.
    gone = {"name": "BOTH", "environment": "staging", "value_version": 2, "versions": 2}
    assert told(client, "secret.")[before:] == [("secret.environment_removed", gone)]
    assert [row.name for row in await environments(client)] == ["production"]
    assert (count(client, "secret_environment"), count(client, "data_key")) == (2, 2)
    assert count(client, "secret") == 2
    # The same name again is another environment: versions begin anew.
    await make_environment(client, "staging")
    assert (await client.put(live.id, "z", environment="staging")).value_version == 1
    answer = await client.stand.access(client.tenant_id, name="LIVE", environment="staging")
    assert answer.value == "z"


async def test_deleted_secrets_of_a_deleted_environment_move_or_are_purged(client: Client) -> None:
    listed = {row.name: row for row in await environments(client)}
    await make_environment(client, "alpha")
    await make_environment(client, "zulu")
    others_of: dict[str, list[str]] = {
        "ALONE": [],
        "TWO": ["zulu", "alpha"],
        "DEF": ["alpha", "production"],
    }
    for name, others in others_of.items():
        made = await client.create(name, environment="staging")
        for other in others:
            await client.put(made.id, "x", environment=other)
        await client.delete(made.id)
    await delete_environment(client, listed["staging"].id)
    rows = client.stand.database.rows(
        "select s.name, e.name from secrets.secret s"
        " join secrets.environment e on e.id = s.base_environment_id order by 1"
    )
    assert rows == [("DEF", "production"), ("TWO", "alpha")]
    assert actions(client, "secret.purged") == ["secret.purged"]
    moves = [details for _, details in told(client, "secret.rebased")]
    assert sorted(moves, key=str) == [
        {"name": "DEF", "from": "staging", "to": "production"},
        {"name": "TWO", "from": "staging", "to": "alpha"},
    ]
    erased = [details["name"] for _, details in told(client, "secret.environment_removed")]
    assert sorted(erased) == ["DEF", "TWO"]
    assert count(client, "data_key") == count(client, "value_version") == 4
    assert client.live_secrets() == 0


async def test_what_is_deleted_in_an_environment_goes_in_parts_that_hold_no_one_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emptying, "AT_A_TIME", 2)
    monkeypatch.setattr(emptying, "MAX_VERSIONS", 3)
    staging = next(row for row in await environments(client) if row.name == "staging")
    kept = await client.create("KEPT")
    await client.put(kept.id, "x", environment="staging")
    await remove_value(client, kept.id, "staging")
    made = [await client.create(f"S{number}", environment="staging") for number in range(5)]
    for _ in range(7):
        await client.put(made[2].id, "more", environment="staging")
    await client.put(made[3].id, "elsewhere", environment="production")
    for one in made:
        await client.delete(one.id)
    await delete_environment(client, staging.id)
    assert (count(client, "secret"), count(client, "secret_environment")) == (2, 2)
    assert count(client, "data_key") == count(client, "value_version") == 2
    gone = actions(client, "secret.purged")
    assert len(gone) == 4
    early = [details for _, details in told(client, "secret.history_erased")]
    assert early
    assert all((one["name"], one["environment"]) == ("S2", "staging") for one in early)
    (last,) = [one for _, one in told(client, "secret.purged") if one["name"] == "S2"]
    assert sum(one["versions"] for one in early) + last["versions"] == 8
    assert actions(client, "environment.deleted") == ["environment.deleted"]


async def test_an_environment_that_is_being_emptied_takes_nothing_more_and_then_goes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emptying, "AT_A_TIME", 1)
    staging = next(row for row in await environments(client) if row.name == "staging")
    made = [await client.create(f"S{number}") for number in range(3)]
    for one in made:
        await client.put(one.id, "x", environment="staging")
        await client.delete(one.id)
    live = await client.create("LIVE")
    store = Database(client.stand.database.dsn("coffer_secrets"), name="test", max_connections=1)
    await store.open()
    begun = await PostgresEnvironments(store).delete(
        client.tenant_id, UUID(staging.id), None, Call.of_service("secrets")
    )
    await store.close()
    assert isinstance(begun, Unfinished)
    # Values of deleted secrets are gone already: nothing may make the rest of it a refusal.
    with refused("validation_error", "environment"):
        await client.put(live.id, "x", environment="staging")
    with refused("validation_error", "environment"):
        await client.create("NEW", environment="staging")
    with refused("conflict", "being deleted"):
        await change_environment(client, staging.id, is_default=True)
    first, *others = sorted(made, key=lambda one: one.id)
    for one in others:
        with refused("conflict", "being deleted"):
            await restore_secret(client, one.id)
    # The first has no value there any more.
    assert (await restore_secret(client, first.id)).environment_count == 1
    # What a crash left is taken up again.
    await delete_environment(client, staging.id)
    assert [row.name for row in await environments(client)] == ["production"]
    assert (await restore_secret(client, others[0].id)).environment_count == 1
    assert count(client, "data_key") == count(client, "value_version") == 4


async def test_a_certificate_that_moves_shows_no_facts_of_the_value_that_went(
    client: Client,
) -> None:
    listed = {row.name: row for row in await environments(client)}
    first, second = certificates.issue(dns=["old.test"]), certificates.issue(dns=["new.test"])
    request = secrets_pb2.CreateCertificateRequest(
        name="TLS", certificate_content=first.pem, environment="staging"
    )
    made = await client.call("CreateCertificate", request)
    put = secrets_pb2.PutSecretValueRequest(
        id=made.id, certificate_content=second.pem, environment="production"
    )
    await client.call("PutSecretValue", put)
    await client.delete(made.id)
    await delete_environment(client, listed["staging"].id)
    await restore_secret(client, made.id, "production")
    moved = await client.get(made.id)
    assert (moved.base_environment, moved.value_version) == ("production", 1)
    assert moved.metadata.expires_at.ToSeconds() == moved.expires_at.ToSeconds() > 0
    assert not moved.metadata.dns_names
    assert not moved.metadata.HasField("subject")
    assert [warning.code for warning in moved.metadata.warnings] == ["unreadable_field"]


async def test_a_secret_that_lost_its_base_is_restored_to_the_one_that_somebody_names(
    client: Client,
) -> None:
    listed = {row.name: row for row in await environments(client)}
    dev = await make_environment(client, "dev")
    await make_environment(client, "empty")
    made = await client.create("S", "for staging", environment="staging")
    for place in ("production", "dev", "dev"):
        await client.put(made.id, f"for {place}", environment=place)
    stored = (await client.get(made.id)).updated_at.ToNanoseconds()
    await client.delete(made.id)
    await delete_environment(client, listed["staging"].id)
    with refused("conflict", "staging was deleted.*: production, dev.") as found:
        await restore_secret(client, made.id)
    assert set(found.value.fields) == {"base_environment"}
    for other in ("staging", "empty", "nowhere", "No Name", ""):
        with refused("validation_error") as found:
            await restore_secret(client, made.id, other)
        assert set(found.value.fields) == {"base_environment"}
    assert client.live_secrets() == 0
    row = await restore_secret(client, made.id, "dev")
    assert (row.base_environment, row.value_version, row.environment_count) == ("dev", 2, 2)
    assert row.updated_at.ToNanoseconds() > stored
    assert (await client.stand.access(client.tenant_id, name="S")).value == "for dev"
    told_of = {"name": "S", "lost_base": "staging", "base_environment": "dev"}
    assert told(client, "secret.restored") == [("secret.restored", told_of)]
    # That is over: its base is there, and the next deletion is undone without a word.
    await client.delete(made.id)
    with refused("validation_error") as found:
        await restore_secret(client, made.id, "production")
    assert set(found.value.fields) == {"base_environment"}
    assert (await restore_secret(client, made.id)).base_environment == "dev"
    # The first base that was lost is the one that people knew.
    await client.put(made.id, "for empty", environment="empty")
    await client.delete(made.id)
    await delete_environment(client, dev.id)
    await client.delete((await client.create("OTHER")).id)
    await delete_environment(client, {r.name: r for r in await environments(client)}["empty"].id)
    with refused("conflict", "dev was deleted.*: production.$"):
        await restore_secret(client, made.id)
    assert (await restore_secret(client, made.id, "production")).base_environment == "production"


async def test_another_tenants_environment_is_not_there(stand: Stand) -> None:
    mine, theirs = stand.tenant("mine"), stand.tenant("theirs")
    made = await make_environment(theirs, "staging")
    for change in (
        change_environment(mine, made.id, name="x"),
        delete_environment(mine, made.id),
        delete_environment(mine, "nonsense"),
    ):
        with refused("not_found"):
            await change
    assert [row.name for row in await environments(mine)] == ["production"]
    assert len(await environments(theirs)) == 2


async def test_there_is_a_bound_to_what_is_listed_at_once(stand: Stand) -> None:
    client = stand.tenant()
    await environments(client)
    stand.database.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " select %s, gen_random_uuid(), 'e' || n, 'e' from generate_series(2, %s) n",
        (client.tenant_id, MAX_ENVIRONMENTS),
    )
    with refused("plan_limit"):
        await make_environment(client, "one-more")
    assert len(await environments(client)) == MAX_ENVIRONMENTS
