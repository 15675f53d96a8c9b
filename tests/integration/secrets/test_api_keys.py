"""API keys as the service keeps them: what they may do, how long, how often, and who used them when."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest
from coffer.secrets.v1 import account_pb2, api_keys_pb2

from services.common.api_uses import UseRecorder
from services.common.database import Database
from services.common.errors import CofferError, UnavailableError
from services.secrets.tenancy.model import MAX_LIVE_KEYS
from tests.integration.secrets.stand import Client, outcomes

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.secrets.stand import Stand

CALLS_AT_ONCE = 20


async def make(client: Client, **members: Any) -> Any:
    members.setdefault("name", "ci")
    return await client.call("CreateApiKey", api_keys_pb2.CreateApiKeyRequest(**members))


async def revoke(client: Client, key_id: str) -> Any:
    return await client.call("RevokeApiKey", api_keys_pb2.RevokeApiKeyRequest(key_id=key_id))


async def listed(client: Client, **members: Any) -> Any:
    return await client.call("ListApiKeys", api_keys_pb2.ListApiKeysRequest(**members))


async def account(client: Client) -> Any:
    """What any valid key may ask."""
    return await client.call("GetAccount", account_pb2.GetAccountRequest())


async def usage(client: Client) -> Any:
    return await client.call("GetAccountUsage", account_pb2.GetAccountUsageRequest())


async def code(call: Any) -> str:
    ((outcome),) = await outcomes([call])
    return outcome if isinstance(outcome, str) else "ok"


def with_key(client: Client, token: str) -> Client:
    return Client(client.stand, client.tenant_id, token)


def set_key(client: Client, column: str, value: object) -> None:
    """Of the client's key."""
    client.stand.database.execute(
        f"update tenancy.api_key set {column} = %s where sha256 = %s",
        (value, hashlib.sha256(client.api_key.encode()).digest()),
    )


def stored(client: Client, column: str, key_id: str) -> Any:
    ((value,),) = client.stand.database.rows(
        f"select {column} from tenancy.api_key where key_id = %s",
        (key_id,),
    )
    return value


async def test_a_made_key_works_at_once_and_is_stored_nowhere(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    made = await make(client, scopes=["secrets:read"], expires_in_days=7)
    assert made.active
    assert made.key_type == "standard"
    ends = made.expires_at.ToDatetime(UTC)
    assert abs(ends - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=1)
    young = with_key(client, made.api_key)
    await young.list()
    assert await code(young.create("NAME")) == "insufficient_scope"
    assert await code(listed(young)) == "insufficient_scope"
    database = client.stand.database
    tables = database.rows(
        "select n.nspname || '.' || c.relname from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r'"
        " and n.nspname in ('tenancy', 'audit', 'secrets')"
    )
    for (table,) in tables:
        for (row,) in database.rows(f"select t::text from {table} t"):
            assert made.api_key not in str(row), table
            assert made.api_key[12:] not in str(row), table
    assert made.api_key[12:] not in caplog.text


async def test_the_list_is_newest_first_without_keys_and_without_the_revoked(
    client: Client,
) -> None:
    made = [await make(client, name=f"k{number}") for number in range(4)]
    await revoke(client, made[1].key_id)
    client.stand.database.execute(
        "update tenancy.api_key set expires_at = now() where key_id = %s", (made[2].key_id,)
    )
    found = await listed(client, per_page=3)
    assert [row.name for row in found.api_keys] == ["k3", "k2", "k0"]
    assert [row.active for row in found.api_keys] == [True, False, True]
    assert (found.page.total, found.page.total_pages) == (4, 2)
    assert [row.name for row in (await listed(client, per_page=3, page=2)).api_keys] == ["test"]
    assert not (await listed(client, page=9)).api_keys
    by_name = await listed(client, sort="name", per_page=3)
    assert [row.name for row in by_name.api_keys] == ["k0", "k2", "k3"]
    down = await listed(client, sort="name", order="desc", per_page=2)
    assert [row.name for row in down.api_keys] == ["test", "k3"]
    assert (await listed(client, order="asc")).api_keys[0].name == "test"
    assert (await listed(client, sort="created_at", order="desc", per_page=3)) == found
    for fault in ({"page": 0}, {"per_page": 101}, {"sort": "key_id"}, {"order": "up"}):
        assert await code(listed(client, **fault)) == "validation_error"
    by_id = await client.call("GetApiKey", api_keys_pb2.GetApiKeyRequest(key_id=made[0].id))
    assert by_id.key_id == made[0].key_id
    gone = api_keys_pb2.GetApiKeyRequest(key_id=made[1].key_id)
    assert await code(client.call("GetApiKey", gone)) == "not_found"


async def test_a_revoked_key_and_an_expired_one_are_refused_at_once(client: Client) -> None:
    first, second, third = [await make(client) for _ in range(3)]
    keys = [with_key(client, made.api_key) for made in (first, second, third)]
    assert (await revoke(client, first.key_id)).revoked
    assert (await revoke(keys[1], second.id)).revoked, "its own, by its id"
    client.stand.database.execute(
        "update tenancy.api_key set expires_at = now() where key_id = %s", (third.key_id,)
    )
    assert [await code(account(key)) for key in keys] == ["unauthenticated"] * 3
    assert await code(revoke(client, first.key_id)) == "not_found"
    assert (await revoke(client, third.key_id)).revoked


async def test_another_tenants_key_is_neither_seen_nor_revoked(
    stand: Stand, client: Client
) -> None:
    other = stand.tenant("other")
    theirs = await make(other)
    for name in (theirs.key_id, theirs.id):
        assert await code(revoke(client, name)) == "not_found"
        asked = api_keys_pb2.GetApiKeyRequest(key_id=name)
        assert await code(client.call("GetApiKey", asked)) == "not_found"
    assert theirs.key_id not in {row.key_id for row in (await listed(client)).api_keys}
    assert await code(account(with_key(other, theirs.api_key))) == "ok"


async def test_the_log_tells_of_made_and_revoked_keys_and_of_no_token(client: Client) -> None:
    ends = datetime(2031, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    limit = {"rate_limit_requests": 7, "rate_limit_window_sec": 30}
    made = await make(client, name="deploy", scopes=["audit:read"], expires_at=ends, **limit)
    await revoke(client, made.key_id)
    events = client.stand.database.rows(
        "select action, resource_id, details from audit.event where tenant_id = %s order by seq",
        (client.tenant_id,),
    )
    assert [(action, about, json.loads(str(details))) for action, about, details in events] == [
        (
            "api_key.created",
            made.key_id,
            {
                "name": "deploy",
                "scopes": ["audit:read"],
                "expires_at": "2031-01-02T03:04:05.678Z",
                "rate_limit": 7,
                "rate_window_seconds": 30,
            },
        ),
        ("api_key.revoked", made.key_id, {"name": "deploy"}),
    ]


async def test_a_tenant_has_a_thousand_keys_and_never_one_more(client: Client) -> None:
    client.stand.database.execute(
        "insert into tenancy.api_key (tenant_id, id, key_id, key_prefix, sha256, name, scopes, expires_at)"
        " select %s, gen_random_uuid(), 'key_' || n, 'tk_live_', sha256(convert_to(gen_random_uuid()::text,"
        " 'UTF8')), 'filler', '{}', case when n > %s then now() end from generate_series(1, %s) n",
        (client.tenant_id, MAX_LIVE_KEYS - 2, MAX_LIVE_KEYS + 50),
    )
    made = await asyncio.gather(*(code(make(client)) for _ in range(5)))
    assert sorted(made) == ["ok"] + ["plan_limit"] * 4
    assert (await revoke(client, "key_1")).revoked
    assert await code(make(client)) == "ok"
    assert await code(make(client)) == "plan_limit"


async def test_no_key_outlives_one_that_was_revoked_before_it_was_made(client: Client) -> None:
    """A revocation that is under way, and commits before the new key does, wins."""
    maker = await make(client)
    young = with_key(client, maker.api_key)
    with psycopg.connect(client.stand.database.admin_dsn) as connection:
        connection.execute(
            "update tenancy.api_key set revoked_at = now() where key_id = %s", (maker.key_id,)
        )
        making = asyncio.create_task(code(make(young, name="orphan")))
        # The maker's row is held, so the new key waits for what becomes of it.
        await _waits_for_a_lock(client)
        connection.commit()
    assert await making == "unauthenticated"
    assert "orphan" not in {row.name for row in (await listed(client)).api_keys}


async def _waits_for_a_lock(client: Client) -> None:
    waiting = (
        "select count(*) from pg_stat_activity"
        " where wait_event_type = 'Lock' and datname = current_database()"
    )
    async with asyncio.timeout(20):
        while not client.stand.database.rows(waiting)[0][0]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_limited_key_is_told_so_on_every_call_and_refused_beyond(client: Client) -> None:
    set_key(client, "rate_limit", 3)
    calls = [await _headers(client) for _ in range(5)]
    assert [found.get("code") for found in calls] == [None] * 3 + ["RESOURCE_EXHAUSTED"] * 2
    assert {found["x-ratelimit-limit"] for found in calls} == {"3"}
    assert [found["x-ratelimit-remaining"] for found in calls] == ["2", "1", "0", "0", "0"]
    resets = {int(found["x-ratelimit-reset"]) for found in calls}
    assert len(resets) == 1
    assert 0 <= resets.pop() - datetime.now(UTC).timestamp() <= 61
    with pytest.raises(CofferError) as refused:
        await account(client)
    assert refused.value.code == "rate_limited"
    assert 1 <= (refused.value.retry_after or 0) <= 60
    set_key(client, "rate_limit", 0)
    assert await _headers(client) == {}


async def test_forbidden_calls_take_from_the_limit_as_well(stand: Stand) -> None:
    tenant = stand.tenant()
    reader = with_key(tenant, stand.database.create_api_key(tenant.tenant_id, ["secrets:read"]))
    set_key(reader, "rate_limit", 2)
    assert [await code(listed(reader)) for _ in range(3)] == [
        "insufficient_scope",
        "insufficient_scope",
        "rate_limited",
    ]
    assert await code(account(tenant)) == "ok", "another key of the tenant"


async def test_a_key_made_by_a_limited_one_is_limited_as_well(client: Client) -> None:
    set_key(client, "rate_limit", 50)
    set_key(client, "rate_window_seconds", 30)
    made, own = await make(client), await make(client, rate_limit_requests=7)
    assert (made.rate_limit_requests, made.rate_limit_window_sec) == (50, 30)
    assert (own.rate_limit_requests, own.rate_limit_window_sec) == (7, 60)
    assert await code(make(client, rate_limit_requests=51)) == "validation_error"
    found = await _headers(with_key(client, own.api_key))
    assert found["x-ratelimit-limit"] == "7"


async def test_usage_counts_every_call_that_was_authenticated(client: Client) -> None:
    before = (await usage(client)).api_calls.used
    reader = with_key(client, (await make(client, scopes=["audit:read"])).api_key)
    done = await outcomes([account(reader) for _ in range(CALLS_AT_ONCE)])
    assert len(done) == CALLS_AT_ONCE
    assert await code(reader.list()) == "insufficient_scope"
    found = await usage(client)
    assert found.api_calls.used == before + 1 + CALLS_AT_ONCE + 1 + 1
    assert not found.api_calls.HasField("limit")
    assert found.api_calls.percentage == 0
    key = next(row for row in (await listed(client)).api_keys if row.name == "ci")
    used = key.last_used_at.ToDatetime(UTC)
    assert used >= key.created_at.ToDatetime(UTC), "the minute it was made in began before it was"
    assert datetime.now(UTC) - used < timedelta(minutes=2)


async def test_the_account_and_its_usage_say_what_there_is(stand: Stand) -> None:
    tenant = stand.tenant("small", "starter")
    any_key = with_key(tenant, stand.database.create_api_key(tenant.tenant_id, ["audit:read"]))
    await tenant.create("ONE")
    await tenant.create("TWO")
    await tenant.delete((await tenant.create("THREE")).id)
    about, found = await account(any_key), await usage(any_key)
    assert (about.id, about.slug, about.name) == (str(tenant.tenant_id), "small", "small")
    assert (about.region, about.subscription_plan) == ("local", "starter")
    assert about.subscription_status == found.status == "active"
    assert (found.resources.secrets.used, found.resources.secrets.limit) == (2, 25)
    environments, collections = found.resources.environments, found.resources.collections
    assert (environments.used, environments.limit) == (1, 500)
    assert (collections.used, collections.HasField("limit")) == (0, False)
    now, start = datetime.now(UTC), found.billing_period.start.ToDatetime(UTC)
    assert (start.year, start.month, start.day) == (now.year, now.month, 1)
    assert found.billing_period.end.ToDatetime(UTC) > now
    idle = await usage(stand.tenant("idle", "enterprise"))
    assert idle.resources.environments.used == 1, "the default one is made at first use"
    assert (idle.resources.secrets.used, idle.resources.secrets.HasField("limit")) == (0, False)
    assert idle.api_calls.used == 1


async def test_uses_are_written_once_and_kept_while_the_database_is_away(
    stand: Stand,
) -> None:
    """By the month they were made in, whichever process writes them, and the last use never goes back."""
    database, tenant = stand.database, stand.tenant("used")
    key_id = str(
        database.rows(
            "select key_id from tenancy.api_key where tenant_id = %s", (tenant.tenant_id,)
        )[0][0]
    )
    now = datetime(2031, 1, 31, 23, 59, 59, tzinfo=UTC)
    pool = Database(database.dsn("coffer_secrets"), name="recorder", max_connections=2)
    recorders = [UseRecorder(pool, lambda: now) for _ in range(2)]
    for recorder in recorders:
        for _ in range(7):
            recorder.note(tenant.tenant_id, key_id)
    with pytest.raises(UnavailableError):
        await recorders[0].flush()
    await pool.open()
    now = datetime(2031, 2, 1, 0, 0, 30, tzinfo=UTC)
    recorders[0].note(tenant.tenant_id, key_id)
    await asyncio.gather(*(recorder.flush() for recorder in recorders))
    now = datetime(2030, 12, 31, 12, tzinfo=UTC)  # the clock of another machine
    recorders[1].note(tenant.tenant_id, key_id)
    for recorder in recorders * 2:
        await recorder.flush()
    await pool.close()
    assert _calls(stand, tenant.tenant_id) == [
        ("2030-12-01", 1),
        ("2031-01-01", 14),
        ("2031-02-01", 1),
    ]
    assert stored(tenant, "last_used_at", key_id) == datetime(2031, 2, 1, tzinfo=UTC)


async def test_a_key_whose_row_is_held_keeps_no_other_tenants_use_from_being_written(
    stand: Stand,
) -> None:
    database = stand.database
    held, other = stand.tenant("held"), stand.tenant("other")
    rows = database.rows("select tenant_id, key_id from tenancy.api_key")
    keys = {tenant_id: str(key_id) for tenant_id, key_id in rows}
    held_key, other_key = keys[held.tenant_id], keys[other.tenant_id]
    now = datetime(2031, 1, 31, 23, 59, tzinfo=UTC)
    pool = Database(database.dsn("coffer_secrets"), name="recorder", max_connections=1)
    await pool.open()
    recorder = UseRecorder(pool, lambda: now)
    with psycopg.connect(database.admin_dsn) as holder:
        holder.execute(
            "select from tenancy.api_key where tenant_id = %s for share", (held.tenant_id,)
        )
        recorder.note(held.tenant_id, held_key)
        recorder.note(other.tenant_id, other_key)
        await recorder.flush()
        assert stored(other, "last_used_at", other_key) == now
        assert stored(held, "last_used_at", held_key) is None
    await recorder.flush()
    await recorder.flush()
    await pool.close()
    assert stored(held, "last_used_at", held_key) == now
    for client in (held, other):
        assert _calls(stand, client.tenant_id) == [("2031-01-01", 1)]


def _calls(stand: Stand, tenant_id: UUID) -> list[tuple[str, int]]:
    rows = stand.database.rows(
        "select month::text, calls from tenancy.api_usage where tenant_id = %s"
        " and month > '2030-01-01' order by month",
        (tenant_id,),
    )
    return [(str(month), int(str(calls))) for month, calls in rows]


async def _headers(client: Client) -> dict[str, str]:
    """The limit's headers of a call, and the code where it was refused."""
    metadata = [("authorization", f"Bearer {client.api_key}")]
    call = client.stand.stub().GetAccount(
        account_pb2.GetAccountRequest(), metadata=metadata, timeout=30
    )
    found = {
        name: value
        for name, value in await call.initial_metadata() or ()
        if name.startswith("x-ratelimit")
    }
    state = await call.code()
    return found if state is grpc.StatusCode.OK else found | {"code": state.name}
