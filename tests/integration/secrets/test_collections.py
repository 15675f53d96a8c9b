"""Collections: their pages and counts, and what becomes of the secrets of one that goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from coffer.secrets.v1 import collections_pb2

from services.secrets.store import collections
from tests.integration.secrets.groups import (
    actions,
    change_collection,
    delete_collection,
    get_collection,
    make_collection,
    refused,
    told,
)
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    import pytest

    from tests.integration.secrets.stand import Client, Stand


async def _page(client: Client, **fields: Any) -> Any:
    request = collections_pb2.ListCollectionsRequest(**fields)
    return await client.call("ListCollections", request)


async def test_pages_show_every_collection_once_by_code_point(stand: Stand) -> None:
    client = stand.tenant()
    names = ["b", "a", "B", "ä", "Zeta 9", "_"]
    for name in names:
        await make_collection(client, f"  {name} ")
    pages = [await _page(client, page=page, per_page=4) for page in (1, 2, 3)]
    assert [row.name for page in pages for row in page.collections] == sorted(names)
    assert (pages[2].page.total, pages[2].page.total_pages) == (6, 2)
    by_age = await _page(client, sort="created_at", order="desc")
    assert [row.name for row in by_age.collections] == names[::-1]
    with refused("validation_error") as found:
        await _page(client, page=0, per_page=101, sort="id", order="up")
    assert set(found.value.fields) == {"page", "per_page", "sort", "order"}


async def test_only_live_secrets_are_counted(stand: Stand) -> None:
    client = stand.tenant()
    made = await make_collection(client, "c", description="for people")
    assert (made.secret_count, made.description) == (0, "for people")
    secrets = [await client.create(f"S{n}", collection_id=made.id) for n in range(3)]
    await client.delete(secrets[0].id)
    assert (await get_collection(client, made.id)).secret_count == 2
    assert [row.secret_count for row in (await _page(client)).collections] == [2]


async def test_bad_names_are_told_and_taken_ones_are_conflicts(stand: Stand) -> None:
    client = stand.tenant()
    made = await make_collection(client, "c")
    await make_collection(client, "d")
    for name in ("  ", "x" * 129, "a\nb"):
        with refused("validation_error"):
            await make_collection(client, name)
    with refused("conflict"):
        await make_collection(client, " c ")
    with refused("conflict"):
        await change_collection(client, made.id, name="d")
    with refused("validation_error") as found:
        await change_collection(client, made.id, ["name", "secret_count"])
    assert set(found.value.fields) == {"name", "secret_count"}
    changed = await change_collection(client, made.id, ["description"], name="e")
    assert (changed.name, changed.HasField("description")) == ("e", False)
    (renamed,) = told(client, "collection.updated")
    assert renamed[1] == {
        "name": "e",
        "renamed_from": "c",
        "changed": ["description", "name"],
    }
    with refused("validation_error"):
        await change_collection(client, made.id)


async def test_secrets_outlive_their_collection_and_grants_of_it_reach_nothing(
    stand: Stand,
) -> None:
    client = stand.tenant()
    made = await make_collection(client, "c")
    live, dead = [await client.create(name, collection_id=made.id) for name in ("A", "B")]
    await client.delete(dead.id)
    stand.database.execute(
        "insert into tenancy.consumer_grant (tenant_id, id, consumer, collection_ids)"
        " values (%s, %s, 'dev', %s)",
        (client.tenant_id, uuid4(), [UUID(made.id)]),
    )
    assert (await stand.access(client.tenant_id, name="A")).value == "s3cret"
    assert (await delete_collection(client, made.id)).deleted
    assert not (await client.get(live.id)).HasField("collection_id")
    rows = stand.database.rows("select count(*) from secrets.secret where collection_id is null")
    assert rows == [(2,)]
    with refused("not_found"):
        await stand.access(client.tenant_id, name="A")
    with refused("not_found"):
        await delete_collection(client, made.id)
    (deleted,) = told(client, "collection.deleted")
    left = sorted([live.id, dead.id])
    assert deleted[1] == {"name": "c", "secrets": 2, "secret_ids": left}
    assert actions(client, "collection.") == ["collection.created", "collection.deleted"]


async def test_another_tenants_collection_is_not_there(stand: Stand) -> None:
    mine, theirs = stand.tenant("mine"), stand.tenant("theirs")
    made = await make_collection(theirs, "c")
    for call in (
        get_collection(mine, made.id),
        change_collection(mine, made.id, name="x"),
        delete_collection(mine, made.id),
        get_collection(mine, "nonsense"),
    ):
        with refused("not_found"):
            await call
    with refused("validation_error"):
        await mine.create("S", collection_id=made.id)
    assert (await _page(mine)).page.total == 0


async def test_many_secrets_leave_a_collection_in_parts(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collections, "AT_A_TIME", 2)
    client = stand.tenant()
    made = await make_collection(client, "c")
    secrets = [await client.create(f"S{n}", collection_id=made.id) for n in range(5)]
    assert (await delete_collection(client, made.id)).deleted
    events = told(client, "collection.")[1:]
    assert [action.partition(".")[2] for action, _ in events] == [
        "secrets_taken_out",
        "secrets_taken_out",
        "deleted",
    ]
    named = sorted(one for _, details in events for one in details["secret_ids"])
    assert named == sorted(one.id for one in secrets)
    assert not (await client.get(secrets[0].id)).HasField("collection_id")
    with refused("not_found"):
        await get_collection(client, made.id)


async def test_no_secret_stays_in_a_collection_that_is_deleted_meanwhile(stand: Stand) -> None:
    client = stand.tenant()
    for turn in range(4):
        made = await make_collection(client, "c")
        calls = [client.create(f"S{turn}_{n}", collection_id=made.id) for n in range(6)]
        calls.insert(turn, delete_collection(client, made.id))
        found = await outcomes(calls)
        assert {outcome for outcome in found if isinstance(outcome, str)} <= {"validation_error"}
    rows = stand.database.rows("select count(*) from secrets.secret where collection_id is null")
    assert rows == [(client.live_secrets(),)]


async def test_renames_to_each_others_names_at_once_end(stand: Stand) -> None:
    client = stand.tenant()
    one, two = await make_collection(client, "one"), await make_collection(client, "two")
    found = await outcomes(
        [
            change_collection(client, one.id, name="two"),
            change_collection(client, two.id, name="one"),
        ]
    )
    assert found == ["conflict", "conflict"]
