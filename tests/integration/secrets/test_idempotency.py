"""Idempotency keys as a caller of the secrets service sees them, and what the table holds of a request."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from coffer.secrets.v1 import secrets_pb2

from services.common.database import Database
from services.common.errors import CofferError
from services.common.idempotency import Claim, ClaimLostError
from services.common.idempotency.guard import Guard
from services.common.sensitive import SecretBytes
from services.secrets.creating import Creator
from services.secrets.model import SecretRow
from services.secrets.store import PostgresSecrets
from tests.fakes.secrets_ports import Watching
from tests.fakes.secrets_values import a_call, new_secret
from tests.integration.secrets.stand import answered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from services.common.identity import Call
    from tests.fixtures.database import TestDatabase
    from tests.integration.secrets.stand import Client, Stand

CANARY = "canary-9b1d-never-to-be-kept"


async def asked(client: Client, rpc: str, request: Any, key: str) -> tuple[Any, bool]:
    """The reply, and whether it is said to be replayed."""
    metadata = (("authorization", f"Bearer {client.api_key}"), ("idempotency-key", key))
    call = getattr(client.stand.stub(), rpc)(request, metadata=metadata, timeout=30)
    reply = await answered(call)
    return reply, ("idempotent-replayed", "true") in tuple(await call.initial_metadata())


async def test_copies_of_every_change_get_its_reply_and_leave_one_event(stand: Stand) -> None:
    client = stand.tenant()
    create = secrets_pb2.CreateSecretRequest(name="ONE", value=CANARY)
    found = await asyncio.gather(
        *(asked(client, "CreateSecret", create, "key of create") for _ in range(8))
    )
    assert sum(replayed for _, replayed in found) == 7
    made = found[0][0]
    assert all(reply == made for reply, _ in found)
    put = secrets_pb2.PutSecretValueRequest(id=made.secret.id, value=f"{CANARY} too")
    delete = secrets_pb2.DeleteSecretRequest(id=made.secret.id)
    for rpc, request in (("PutSecretValue", put), ("DeleteSecret", delete)):
        first, replayed = await asked(client, rpc, request, f"key of {rpc}")
        assert not replayed
        assert await asked(client, rpc, request, f"key of {rpc}") == (first, True)
    rows = stand.database.rows("select action from audit.event order by seq")
    done = ["environment.created", "secret.created", "secret.value_updated", "secret.deleted"]
    assert [action for (action,) in rows] == done


async def test_a_replayed_refusal_says_that_it_is_replayed(stand: Stand) -> None:
    client = stand.tenant()
    await client.create("ONE")
    create = secrets_pb2.CreateSecretRequest(name="ONE", value=CANARY)
    metadata = (("authorization", f"Bearer {client.api_key}"), ("idempotency-key", "k"))
    for is_copy in (False, True):
        call = stand.stub().CreateSecret(create, metadata=metadata, timeout=30)
        with pytest.raises(CofferError) as refusal:
            await answered(call)
        assert refusal.value.code == "conflict"
        headers = tuple(await call.initial_metadata())
        assert (("idempotent-replayed", "true") in headers) is is_copy


async def test_no_secret_value_is_kept_with_a_request(stand: Stand) -> None:
    client = stand.tenant()
    create = secrets_pb2.CreateSecretRequest(name="ONE", value=CANARY)
    made, _ = await asked(client, "CreateSecret", create, "a")
    put = secrets_pb2.PutSecretValueRequest(id=made.secret.id, value=CANARY)
    await asked(client, "PutSecretValue", put, "b")
    with pytest.raises(CofferError, match="already"):
        await asked(client, "CreateSecret", create, "c")
    rows = stand.database.rows("select * from secrets.idempotency")
    assert len(rows) == 3
    for row in rows:
        for value in row:
            assert CANARY.encode() not in (
                value if isinstance(value, bytes) else str(value).encode()
            )


async def test_a_reading_call_takes_no_notice_of_a_key(stand: Stand) -> None:
    client = stand.tenant()
    made = await client.create("ONE")
    for _ in range(2):
        _, replayed = await asked(
            client, "GetSecret", secrets_pb2.GetSecretRequest(id=made.id), "k"
        )
        assert not replayed
    assert stand.database.rows("select 1 from secrets.idempotency") == []


async def test_copies_of_what_hangs_keep_no_other_tenant_from_the_service(stand: Stand) -> None:
    client, other = stand.tenant(), stand.tenant("other")
    create = secrets_pb2.CreateSecretRequest(name="ONE", value="v")
    metadata = (("authorization", f"Bearer {client.api_key}"), ("idempotency-key", "k"))
    await client.create("FIRST")
    with psycopg.connect(stand.database.admin_dsn) as holder:
        holder.execute(
            "select from audit.head where tenant_id = %s for update", (client.tenant_id,)
        )
        calls = [
            stand.stub().CreateSecret(create, metadata=metadata, timeout=seconds)
            for seconds in (30, *(1.5 for _ in range(40)))
        ]
        copies = asyncio.gather(*(answered(call) for call in calls[1:]), return_exceptions=True)
        for _ in range(10):
            await other.call("ListSecrets", secrets_pb2.ListSecretsRequest())
        assert not copies.done()
        refused = await copies
    # One of them may have come first, or after the first gave up.
    told = [getattr(error, "retry_after", None) for error in refused]
    assert told.count(1) >= 39


@asynccontextmanager
async def a_pool(database: TestDatabase) -> AsyncIterator[Database]:
    pool = Database(database.dsn("coffer_secrets"), name="test", max_connections=4)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def test_a_lost_claim_in_a_group_undoes_its_own_secret_and_no_neighbours(
    database: TestDatabase,
) -> None:
    tenant_id = database.create_tenant("acme")
    database.execute(
        "insert into kms.master_key (tenant_id, version, id, wrap_method, wrapped, check_value,"
        " status) values (%s, 1, %s, 'global', 'x', %s, 'active')",
        (tenant_id, uuid4(), bytes(32)),
    )
    async with a_pool(database) as pool:
        guard = Guard(pool, "secrets", SecretBytes(bytes(32)), count=lambda _outcome: None)
        calls = [await _claiming(guard, tenant_id, key) for key in ("first", "lost", "last")]
        database.execute(
            "update secrets.idempotency set owner = gen_random_uuid() where key = 'lost'"
        )
        store = PostgresSecrets(pool)
        home = await store.environment(tenant_id, None, a_call(tenant_id))
        creator = Creator(store, None, Watching())  # type: ignore[arg-type]
        # The first begins a group at once: those that gather meanwhile are the next.
        plain = new_secret("PLAIN", home, call=a_call(tenant_id))
        grouped = [new_secret(f"S{n}", home, call=call) for n, call in enumerate(calls)]
        found = await asyncio.gather(
            *(creator.create(tenant_id, secret) for secret in (plain, *grouped)),
            return_exceptions=True,
        )
    kinds = [type(outcome) for outcome in found]
    assert kinds == [SecretRow, SecretRow, ClaimLostError, SecretRow]
    kept = database.rows("select key from secrets.idempotency where reply is not null order by key")
    assert kept == [("first",), ("last",)]
    names = database.rows("select name from secrets.secret order by name")
    assert names == [("PLAIN",), ("S0",), ("S2",)]


async def _claiming(guard: Guard, tenant_id: UUID, key: str) -> Call:
    call = a_call(tenant_id)
    claim = await guard.claim(call, key, "/x", b"")
    assert isinstance(claim, Claim)
    claim.encode = lambda row: str(row.id).encode()
    return a_call(tenant_id, claim=claim)
