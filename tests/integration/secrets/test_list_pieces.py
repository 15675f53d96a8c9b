"""A list read in pieces: every secret that stays is seen once, whatever is made or deleted meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from coffer.secrets.v1 import environments_pb2, secrets_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import CofferError
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand

SORTS = ("name", "created_at", "base_environment", "expires_at")


async def walk(client: Client, limit: int, **asked: Any) -> list[Any]:
    rows: list[Any] = []
    cursor = ""
    while True:
        reply = await client.list(cursor=cursor, limit=limit, **asked)
        assert not reply.HasField("page")
        assert reply.cursor_page.limit == limit
        assert len(reply.secrets) <= limit
        rows.extend(reply.secrets)
        if not reply.cursor_page.HasField("next_cursor"):
            return rows
        cursor = reply.cursor_page.next_cursor


def expiry(days: int) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime(2040, 1, 1, tzinfo=UTC) + timedelta(days=days))
    return moment


async def fill(client: Client, count: int) -> list[Any]:
    """Secrets with ties and nulls in every order."""
    made = await outcomes(
        [
            client.create(
                f"S{number}",
                environment=("production", "staging")[number % 2],
                expires_at=expiry(number % 3) if number % 4 else None,
            )
            for number in range(count)
        ]
    )
    client.stand.database.execute(
        "update secrets.secret set created_at = date_trunc('minute', created_at)"
    )
    return made


async def test_pieces_are_in_the_order_of_pages(client: Client) -> None:
    await fill(client, 23)
    for sort in SORTS:
        for order in ("asc", "desc"):
            whole = list((await client.list(sort=sort, order=order, per_page=100)).secrets)
            assert len(whole) == 23
            for limit in (1, 7, 23, 100):
                assert await walk(client, limit, sort=sort, order=order) == whole
            never = [not row.HasField("expires_at") for row in whole]
            if sort == "expires_at":
                assert never == sorted(never, reverse=order == "desc"), "no expiry is the latest"


async def test_pieces_keep_to_their_filters(client: Client) -> None:
    await fill(client, 20)
    for asked in (
        {"environment": "staging"},
        {"search": "1"},
        {"secret_type": "string"},
        {"expires_before": expiry(2), "sort": "expires_at"},
        {"deleted": True},
    ):
        whole = list((await client.list(per_page=100, **asked)).secrets)
        assert await walk(client, 3, **asked) == whole
    await outcomes([client.delete(row.id) for row in await walk(client, 100, search="1")])
    gone = await walk(client, 2, deleted=True, sort="created_at", order="desc")
    assert {"1" in row.name for row in gone} == {True}
    assert all(row.HasField("deleted_at") for row in gone)
    assert len(gone) == (await client.list(deleted=True)).page.total == 11


async def test_a_cursor_of_another_list_is_refused(client: Client) -> None:
    await fill(client, 3)
    cursor = (await client.list(cursor="", limit=1)).cursor_page.next_cursor
    for asked in (
        {"cursor": cursor, "order": "desc"},
        {"cursor": cursor, "search": "S"},
        {"cursor": cursor[:-3]},
        {"cursor": cursor, "page": 1},
        {"limit": 5},
    ):
        with pytest.raises(CofferError) as refused:
            await client.list(**asked)
        assert refused.value.code == "validation_error"


async def test_a_rename_of_an_environment_ends_a_walk_by_environment(client: Client) -> None:
    """Its secrets would move to where the walk has been already, and be missed."""
    await fill(client, 8)
    walking = {"sort": "base_environment", "limit": 5}
    begun = await client.list(cursor="", **walking)
    by_name = await client.list(cursor="", limit=5)
    listed = await client.call("ListEnvironments", environments_pb2.ListEnvironmentsRequest())
    (staging,) = [row.id for row in listed.environments if row.name == "staging"]
    renamed = environments_pb2.UpdateEnvironmentRequest(
        id=staging, name="a", update_mask=FieldMask(paths=["name"])
    )
    await client.call("UpdateEnvironment", renamed)
    with pytest.raises(CofferError) as refused:
        await client.list(cursor=begun.cursor_page.next_cursor, **walking)
    assert refused.value.code == "validation_error"
    assert refused.value.fields == {
        "cursor": ["Environments were renamed, added or removed: begin again with an empty one."]
    }
    goes_on = await client.list(cursor=by_name.cursor_page.next_cursor, limit=5)
    assert len(goes_on.secrets) == 3
    assert len(await walk(client, 3, sort="base_environment")) == 8


@pytest.mark.parametrize("sort", SORTS)
async def test_what_stays_is_seen_once_while_others_come_go_and_are_renamed(
    stand: Stand, client: Client, sort: str
) -> None:
    stay = {row.id for row in await fill(client, 40)}
    moving = await outcomes([client.create(f"M{number}") for number in range(10)])
    done = asyncio.Event()
    disturbing = asyncio.create_task(_disturb(client, [row.id for row in moving], done))
    try:
        for order in ("asc", "desc"):
            for limit in (1, 9):
                seen = Counter(row.id for row in await walk(client, limit, sort=sort, order=order))
                assert {secret_id: seen[secret_id] for secret_id in stay} == dict.fromkeys(stay, 1)
                for search in (None, "x"):
                    page = await client.list(per_page=100, sort=sort, search=search)
                    assert len(page.secrets) == min(page.page.total, 100), "of one moment"
    finally:
        done.set()
        await disturbing
    assert client.live_secrets() == (await client.list()).page.total
    live = stand.database.rows("select count(*) from secrets.secret where deleted_at is null")
    assert live == [(client.live_secrets(),)]


async def _disturb(client: Client, moving: list[str], done: asyncio.Event) -> None:
    chance = random.Random(5)
    number = 0
    while not done.is_set():
        number += 1
        prefix = chance.choice("AMSZ")
        made = await client.create(f"{prefix}x{number}", expires_at=expiry(chance.randrange(3)))
        renamed = secrets_pb2.UpdateSecretRequest(
            id=chance.choice(moving),
            name=f"{prefix}y{number}",
            expires_at=expiry(chance.randrange(4)),
            update_mask=FieldMask(paths=["name", "expires_at"]),
        )
        await client.call("UpdateSecret", renamed)
        if chance.random() < 0.6:
            await client.delete(made.id)
