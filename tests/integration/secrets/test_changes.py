"""Changing, deleting and restoring secrets: what is refused, what is counted, what is written down."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from coffer.secrets.v1 import secrets_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import CofferError
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.secrets.stand import Client, Stand

LATER = Timestamp()
LATER.FromDatetime(datetime(2040, 1, 1, tzinfo=UTC))


async def patch(client: Client, secret_id: str, *null: str, **members: Any) -> Any:
    """PATCH with these members; those of `null` are null."""
    mask = FieldMask(paths=[*members, *null])
    request = secrets_pb2.UpdateSecretRequest(id=secret_id, update_mask=mask, **members)
    return await client.call("UpdateSecret", request)


async def restore(client: Client, secret_id: str) -> Any:
    return await client.call("RestoreSecret", secrets_pb2.RestoreSecretRequest(id=secret_id))


def events(client: Client, action: str) -> list[dict[str, Any]]:
    rows = client.stand.database.rows(
        "select details from audit.event where tenant_id = %s and action = %s order by seq",
        (client.tenant_id, action),
    )
    return [json.loads(str(details)) for (details,) in rows]


def make_old(client: Client, secret_id: str, age: str) -> None:
    client.stand.database.execute(
        "update secrets.secret set deleted_at = now() - %s::interval where id = %s",
        (age, secret_id),
    )


def collection(client: Client) -> UUID:
    made = uuid4()
    client.stand.database.execute(
        "insert into secrets.collection (tenant_id, id, name) values (%s, %s, %s)",
        (client.tenant_id, made, str(made)),
    )
    return made


async def test_only_what_is_named_changes(stand: Stand) -> None:
    client = stand.tenant()
    inside = str(collection(client))
    made = await client.create("OLD", description="d", expires_at=LATER)
    before = (await client.list()).secrets[0]
    changed = await patch(client, made.id, name=" NEW  name ", collection_id=inside)
    assert (changed.name, changed.shortcode_name) == ("NEW_name", "NEW_name")
    assert (changed.collection_id, changed.description) == (inside, "d")
    assert changed.expires_at == LATER
    assert changed.value_version == 1
    assert changed.updated_at.ToDatetime() > before.updated_at.ToDatetime()
    assert changed.created_at == before.created_at
    assert (await client.list()).secrets[0] == changed
    cleared = await patch(client, made.id, "description", "collection_id", "expires_at")
    for member in ("description", "collection_id", "expires_at"):
        assert not cleared.HasField(member)
    assert (await patch(client, made.id, strict_expiry_enforcement=True)).strict_expiry_enforcement
    assert events(client, "secret.updated") == [
        {
            "name": "NEW_name",
            "renamed_from": "OLD",
            "changed": ["collection_id", "name"],
            "from": {"collection_id": None, "name": "OLD"},
            "to": {"collection_id": inside, "name": "NEW_name"},
        },
        {
            # What a description said is nobody's later.
            "name": "NEW_name",
            "changed": ["collection_id", "description", "expires_at"],
            "from": {"collection_id": inside, "expires_at": "2040-01-01T00:00:00.000Z"},
            "to": {"collection_id": None, "expires_at": None},
        },
        {
            "name": "NEW_name",
            "changed": ["strict_expiry_enforcement"],
            "from": {"strict_expiry_enforcement": False},
            "to": {"strict_expiry_enforcement": True},
        },
    ]
    await patch(client, made.id, expires_at=LATER)
    end = events(client, "secret.updated")[-1]
    assert (end["from"], end["to"]) == (
        {"expires_at": None},
        {"expires_at": "2040-01-01T00:00:00.000Z"},
    )


async def test_a_refused_change_leaves_all_as_it_was(stand: Stand) -> None:
    client, other = stand.tenant(), stand.tenant("other")
    made = await client.create("ONE", description="d")
    await client.create("TWO")
    theirs = await other.create("THEIRS")
    their_collection = str(collection(other))
    before = await client.list()
    for members, code in (
        ({"name": "TWO", "description": "x"}, "conflict"),
        ({"collection_id": their_collection, "name": "TWO"}, "validation_error"),
        ({"collection_id": str(uuid4()), "description": "x"}, "validation_error"),
        ({"name": "a/b", "collection_id": str(uuid4())}, "validation_error"),
    ):
        with pytest.raises(CofferError) as refused:
            await patch(client, made.id, **members)
        assert refused.value.code == code
    assert set(refused.value.fields) == {"name", "collection_id"}
    for secret_id in (theirs.id, str(uuid4()), "x"):
        assert await outcomes([patch(client, secret_id, description="x")]) == ["not_found"]
    await client.delete(made.id)
    assert await outcomes([patch(client, made.id, description="x")]) == ["not_found"]
    await restore(client, made.id)
    assert await client.list() == before
    assert events(client, "secret.updated") == []


async def test_a_secret_may_be_given_the_name_that_it_has(stand: Stand) -> None:
    client = stand.tenant()
    made = await client.create("SAME")
    assert (await patch(client, made.id, name="SAME")).name == "SAME"


async def test_many_renames_to_one_name_leave_one_of_it_and_do_not_block_one_another(
    stand: Stand,
) -> None:
    client = stand.tenant()
    made = [await client.create(f"S{number}") for number in range(8)]
    found = await outcomes(
        [patch(client, one.id, name="WANTED") for one in made[:6]]
        # Crosswise: each wants what the other has.
        + [patch(client, made[6].id, name="S7"), patch(client, made[7].id, name="S6")]
        + [client.create("WANTED")]
    )
    assert {code for code in found if isinstance(code, str)} == {"conflict"}
    names = [row.name for row in (await client.list()).secrets]
    assert len(names) == len(set(names))
    assert names.count("WANTED") == 1


async def test_a_deleted_name_is_free_at_once_and_the_deleted_one_comes_back_under_another(
    stand: Stand,
) -> None:
    client = stand.tenant()
    made = await client.create("NAME", description="first")
    await client.put(made.id, "second")
    before = await client.get(made.id)
    await client.delete(made.id)
    assert client.live_secrets() == 0
    again = await client.create("NAME")
    assert await outcomes([restore(client, made.id)]) == ["conflict"]
    await patch(client, again.id, name="OTHER")
    row = await restore(client, made.id)
    assert not row.HasField("deleted_at")
    assert await client.get(made.id) == before
    assert client.live_secrets() == 2
    assert events(client, "secret.restored") == [{"name": "NAME"}]


async def test_only_what_was_deleted_within_seven_days_is_restored(stand: Stand) -> None:
    client, other = stand.tenant(), stand.tenant("other")
    made = await client.create("NAME")
    assert await outcomes([restore(client, made.id)]) == ["invalid_state"]
    await client.delete(made.id)
    assert await outcomes([restore(other, made.id)]) == ["not_found"]
    make_old(client, made.id, "7 days")
    assert await outcomes([restore(client, made.id)]) == ["not_found"]
    assert (await client.list(deleted=True)).secrets == []
    make_old(client, made.id, "6 days 23 hours")
    assert [row.id for row in (await client.list(deleted=True)).secrets] == [made.id]
    await restore(client, made.id)
    assert (await client.list(deleted=True)).page.total == 0
    for secret_id in (str(uuid4()), "x"):
        assert await outcomes([restore(client, secret_id)]) == ["not_found"]


async def test_restores_and_creates_at_once_never_pass_the_plans_limit(stand: Stand) -> None:
    client = stand.tenant(plan="starter")
    deleted = [await client.create(f"D{number}") for number in range(10)]
    await outcomes([client.delete(one.id) for one in deleted])
    await outcomes([client.create(f"S{number}") for number in range(18)])
    found = await outcomes(
        [restore(client, one.id) for one in deleted]
        + [client.create(f"N{number}") for number in range(10)]
    )
    assert client.live_secrets() == 25
    assert (await client.list()).page.total == 25
    assert found.count("plan_limit") == 13
    live = stand.database.rows("select count(*) from secrets.secret where deleted_at is null")
    assert live == [(25,)]


async def test_restored_twice_at_once_it_is_counted_once(stand: Stand) -> None:
    client = stand.tenant()
    made = await client.create("NAME")
    await client.delete(made.id)
    found = await outcomes([restore(client, made.id) for _ in range(6)])
    assert found.count("invalid_state") == 5
    assert client.live_secrets() == 1
