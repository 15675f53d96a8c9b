"""Who may not see what, and that nobody learns what exists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from coffer.secrets.v1 import secrets_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import CofferError
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Stand


async def test_another_tenants_secret_does_not_exist_for_this_one(stand: Stand) -> None:
    mine, theirs = stand.tenant("mine"), stand.tenant("theirs")
    made = await theirs.create("ONE")
    put = secrets_pb2.PutSecretValueRequest(id=made.id, value="x")
    found = await outcomes(
        [
            mine.get(made.id),
            mine.delete(made.id),
            mine.call("PutSecretValue", put),
            mine.get("not-a-uuid"),
            mine.get(str(uuid4())),
        ]
    )
    assert found == ["not_found"] * 5
    assert (await mine.list()).page.total == 0
    assert (await mine.create("ONE")).id != made.id
    assert (await theirs.get(made.id)).value_version == 1


@pytest.mark.parametrize("who", ["rewrap", "gateway", "kms", "secrets"])
async def test_no_service_of_ours_may_read_a_value(stand: Stand, who: str) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, who)
    await client.create("ONE")
    found = await outcomes([stand.access(client.tenant_id, who, name="ONE")])
    assert found == ["forbidden"]


@pytest.mark.parametrize("who", ["consumer/dev", "gateway", "kms"])
async def test_only_rewrap_may_rewrap(stand: Stand, who: str) -> None:
    client = stand.tenant()
    request = secrets_pb2.RewrapBatchRequest(tenant_id=str(client.tenant_id), limit=1)
    with pytest.raises(Exception, match="may not call"):
        await stand.stub(who).RewrapBatch(request, timeout=10)


async def test_an_api_key_does_not_open_values(stand: Stand) -> None:
    client = stand.tenant()
    await client.create("ONE")
    request = secrets_pb2.AccessSecretRequest(tenant_id=str(client.tenant_id), name="ONE")
    assert await outcomes([client.call("AccessSecret", request)]) == ["forbidden"]


async def test_without_a_grant_nobody_learns_whether_tenant_or_secret_exist(stand: Stand) -> None:
    client = stand.tenant()
    await client.create("ONE")
    faults = []
    for tenant_id, name in ((client.tenant_id, "ONE"), (client.tenant_id, "NO"), (uuid4(), "ONE")):
        with pytest.raises(CofferError) as caught:
            await stand.access(tenant_id, name=name)
        faults.append((caught.value.code, caught.value.message))
    assert len(set(faults)) == 1
    assert faults[0][0] == "forbidden"


async def test_a_suspended_tenant_grants_nothing(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await client.create("ONE")
    stand.database.execute("update tenancy.tenant set status = 'suspended'")
    found = await outcomes([stand.access(client.tenant_id, name="ONE"), client.list()])
    assert found == ["forbidden", "unauthenticated"]


async def test_a_grant_reaches_no_further_than_its_environments_and_collections(
    stand: Stand,
) -> None:
    client = stand.tenant()
    collection = uuid4()
    stand.database.execute(
        "insert into secrets.collection (tenant_id, id, name) values (%s, %s, 'c')",
        (client.tenant_id, collection),
    )
    await client.create("IN", "seen", collection_id=str(collection))
    await client.create("OUT")
    for consumer, collections, environments in (
        ("by-collection", [collection], None),
        ("by-environment", None, ["staging"]),
        ("by-both", [collection], ["production"]),
    ):
        stand.database.execute(
            "insert into tenancy.consumer_grant (tenant_id, id, consumer, collection_ids,"
            " environment_names) values (%s, %s, %s, %s, %s)",
            (client.tenant_id, uuid4(), consumer, collections, environments),
        )

    async def seen(consumer: str, name: str) -> object:
        call = stand.access(client.tenant_id, f"consumer/{consumer}", name=name)
        (found,) = await outcomes([call])
        return found if isinstance(found, str) else found.value

    assert await seen("by-collection", "IN") == "seen"
    assert await seen("by-collection", "OUT") == "not_found"
    assert await seen("by-environment", "IN") == "not_found"
    assert await seen("by-both", "IN") == "seen"
    assert await seen("by-both", "OUT") == "not_found"


async def test_strict_expiry_withholds_and_plain_expiry_warns(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    past = Timestamp()
    past.FromDatetime(datetime.now(UTC) - timedelta(minutes=1))
    await client.create("STRICT", expires_at=past, strict_expiry_enforcement=True)
    await client.create("PLAIN", "still", expires_at=past)
    with pytest.raises(CofferError) as caught:
        await stand.access(client.tenant_id, name="STRICT")
    assert (caught.value.code, caught.value.reason) == ("invalid_state", "expired")
    reply = await stand.access(client.tenant_id, name="PLAIN")
    assert reply.value == "still"
    assert [warning.code for warning in reply.warnings] == ["expired"]
    events = stand.database.rows(
        "select count(*) from audit.event where action = 'secret.accessed'"
    )
    assert events == [(1,)]


async def test_a_batch_of_reads_answers_each_by_itself(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await outcomes([client.create(f"S{number}", f"v{number}") for number in range(30)])
    stand.database.execute(
        "update secrets.data_key set wrapped = overlay(wrapped placing '\\x00' from 30)"
        " where id = (select v.data_key_id from secrets.value_version v join secrets.secret s"
        " on s.id = v.secret_id where s.name = 'S7')"
    )
    names = [f"S{number}" for number in range(30)] + ["MISSING"]
    found = await outcomes([stand.access(client.tenant_id, name=name) for name in names])
    assert found[7] == "internal_error"
    assert found[30] == "not_found"
    for number in set(range(30)) - {7}:
        assert found[number].value == f"v{number}"
    assert len(stand.kms.unwrapped) < 30
