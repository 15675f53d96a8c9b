"""Why there is no value, as a consumer is told: the same alone and in a batch."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
from coffer.secrets.v1 import secrets_pb2
from google.protobuf.field_mask_pb2 import FieldMask

from services.common.errors import CofferError
from services.common.rpc.status import parse_status
from tests.fixtures.eventually import eventually
from tests.integration.secrets.certificates import PAST, stamp
from tests.integration.secrets.groups import make_environment, remove_value
from tests.integration.secrets.stand import answered, outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand

Told = tuple[str | None, str | None, int | None]
OK: Told = (None, None, None)
NEVER: Told = ("not_found", None, None)
DELETED: Told = ("not_found", "deleted", None)
EXPECTED: dict[str, Told] = {
    "LIVE": OK,
    "EXPIRED": OK,
    "NEVER": NEVER,
    "DELETED": DELETED,
    "AGAIN": OK,
    "STRICT": ("invalid_state", "expired", None),
    "REVOKED": ("key_revoked", None, None),
    "SEALED": ("tenant_sealed", "access_denied", 30),
}


async def test_each_reason_is_told_apart_alone_and_in_a_batch(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    ids = await _stored(stand, client)
    alone = {name: await _alone(stand, client, name=name) for name in EXPECTED}
    assert alone == EXPECTED
    found = await _batch(stand, client, [{"name": name} for name in EXPECTED])
    assert dict(zip(EXPECTED, map(_told, found), strict=True)) == EXPECTED
    by_id = await _batch(stand, client, [{"secret_id": ids[name]} for name in sorted(ids)])
    expected = EXPECTED | {"AGAIN": DELETED}  # the id is that of the first one
    assert list(map(_told, by_id)) == [expected[name] for name in sorted(ids)]
    warned = [warning.code for warning in found[1].secret.warnings]
    assert warned == ["expired"]
    rows = stand.database.rows(
        "select details::jsonb ->> 'name', count(*) from audit.event"
        " where action = 'secret.accessed' group by 1 order by 1"
    )
    assert rows == [("AGAIN", 2), ("EXPIRED", 3), ("LIVE", 3)]


async def test_a_deletion_is_told_only_to_whom_the_secret_was_granted(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.execute(
        "insert into tenancy.consumer_grant (tenant_id, id, consumer, environment_names)"
        " values (%s, %s, 'dev', array['staging'])",
        (client.tenant_id, uuid.uuid4()),
    )
    ids = await _stored(stand, client)
    for which in ({"name": "DELETED"}, {"secret_id": ids["DELETED"]}):
        assert await _alone(stand, client, **which) == NEVER
    nobody = stand.tenant("other")
    assert await _alone(stand, nobody, name="DELETED") == ("forbidden", None, None)


async def test_a_batch_answers_bad_items_by_themselves_and_bad_batches_as_a_whole(
    stand: Stand,
) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await client.create("ONE", "1")
    items: list[dict[str, Any]] = [
        {"name": "ONE"},
        {},
        {"name": "ONE", "value_version": 0},
        {"name": "ONE", "environment": "nowhere"},
        {"name": "ONE"},
    ]
    found = await _batch(stand, client, items)
    wrong = ("validation_error", None, None)
    assert list(map(_told, found)) == [OK, wrong, wrong, NEVER, OK]
    assert [found[place].secret.value for place in (0, 4)] == ["1", "1"]
    before = len(stand.kms.unwrapped)
    many = await _batch(stand, client, [{"name": "ONE"}] * 100)
    assert {_told(one) for one in many} == {OK}
    assert stand.kms.unwrapped[before:] == [32, 32, 32, 4]
    whole = [_batch(stand, client, [{"name": "ONE"}] * count) for count in (0, 101)]
    assert await outcomes(whole) == ["validation_error"] * 2
    strangers = await _batch(stand, client, [{"name": "ONE"}] * 2, who="consumer/other")
    assert {_told(one) for one in strangers} == {("forbidden", None, None)}
    gateway = _batch(stand, client, [{"name": "ONE"}], who="gateway")
    assert await outcomes([gateway]) == ["forbidden"]


async def test_what_is_taken_away_while_kms_is_asked_is_not_handed_out(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await make_environment(client, "staging")
    names = ("KEPT", "DELETED", "PURGED", "STRICT", "REMOVED", "REPLACED")
    ids = {name: (await client.create(name, expires_at=stamp(PAST))).id for name in names}
    for name in ("REMOVED", "REPLACED"):
        await client.put(ids[name], "x", environment="staging")
    items = [
        {"name": name, "environment": "staging" if name in ("REMOVED", "REPLACED") else None}
        for name in names
    ]

    async def meanwhile() -> None:
        for name in ("DELETED", "PURGED"):
            await client.delete(ids[name])
        for table in ("value_version", "secret_environment"):
            delete = f"delete from secrets.{table} where secret_id = %s"
            stand.database.execute(delete, (ids["PURGED"],))
        stand.database.execute("delete from secrets.secret where id = %s", (ids["PURGED"],))
        change = secrets_pb2.UpdateSecretRequest(
            id=ids["STRICT"],
            update_mask=FieldMask(paths=["strict_expiry_enforcement"]),
            strict_expiry_enforcement=True,
        )
        await client.call("UpdateSecret", change)
        await remove_value(client, ids["REMOVED"], "staging")
        # Another version counts on, so the one that was asked for is still the one of then.
        await client.put(ids["REPLACED"], "y", environment="staging")

    stand.kms.while_unwrapping = meanwhile
    found = await _batch(stand, client, items)
    assert dict(zip(names, map(_told, found), strict=True)) == {
        "KEPT": OK,
        "DELETED": DELETED,
        "PURGED": NEVER,
        "STRICT": ("invalid_state", "expired", None),
        "REMOVED": NEVER,
        "REPLACED": OK,
    }
    assert found[-1].secret.value == "x"
    assert _accessed(client) == ["KEPT", "REPLACED"]


async def test_a_grant_or_a_tenant_that_goes_while_kms_is_asked_gives_nothing(
    stand: Stand,
) -> None:
    client = stand.tenant()
    await client.create("ONE")
    of_tenant = "where tenant_id = %s"
    for narrower, told in ((True, NEVER), (False, ("forbidden", None, None))):
        stand.database.grant_consumer(client.tenant_id, "dev")

        async def regrant(narrower: bool = narrower) -> None:
            change = (
                "update tenancy.consumer_grant set environment_names = '{staging}'"
                if narrower
                else "delete from tenancy.consumer_grant"
            )
            stand.database.execute(f"{change} {of_tenant}", (client.tenant_id,))

        stand.kms.while_unwrapping = regrant
        assert await _alone(stand, client, name="ONE") == told
    stand.database.grant_consumer(client.tenant_id, "dev")

    async def suspend() -> None:
        change = f"update tenancy.tenant set status = 'suspended' {of_tenant}"
        stand.database.execute(change, (client.tenant_id,))

    stand.kms.while_unwrapping = suspend
    assert await _alone(stand, client, name="ONE") == ("forbidden", None, None)
    assert _accessed(client) == []


async def test_the_chain_has_no_access_after_the_end_of_its_grant(stand: Stand) -> None:
    """The one who takes the grant away has the head already; who reads waits for it."""
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await client.create("ONE")
    event = {"action": "grant.deleted", "resource_type": "grant", "actor": "x", "details": "{}"}
    async with await psycopg.AsyncConnection.connect(stand.database.admin_dsn) as connection:
        taker = str(client.tenant_id)
        await connection.execute("select set_config('coffer.tenant_id', %s, true)", (taker,))
        await connection.execute(
            "delete from tenancy.consumer_grant where tenant_id = %s", (taker,)
        )
        await connection.execute("select audit.append(%s, %s)", (taker, json.dumps([event])))
        reading = asyncio.create_task(_alone(stand, client, name="ONE"))
        waiting = (
            "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
            " and datname = current_database()"
        )
        await asyncio.to_thread(
            eventually, lambda: bool(stand.database.rows(waiting)), "the record waits for the head"
        )
    assert await reading == ("forbidden", None, None)
    assert _accessed(client) == []


def _accessed(client: Client) -> list[str]:
    rows = client.stand.database.rows(
        "select details::jsonb ->> 'name' from audit.event"
        " where tenant_id = %s and action = 'secret.accessed' order by 1",
        (client.tenant_id,),
    )
    return [str(name) for (name,) in rows]


async def _stored(stand: Stand, client: Client) -> dict[str, str]:
    """One secret for each name but NEVER: its id."""
    ids = {}
    for name in ("REVOKED", "SEALED", "LIVE", "DELETED", "AGAIN"):
        ids[name] = (await client.create(name, name)).id
        if name in {"REVOKED", "SEALED"}:
            stand.kms.rotate(client.tenant_id)
            # Keys made before are of the version that was active then.
            await client.create(f"AFTER_{name}", "x")
    stand.kms.revoke(client.tenant_id, 1)
    stand.kms.sealed_versions.add((client.tenant_id, 2))
    for name, strict in (("EXPIRED", False), ("STRICT", True)):
        made = await client.create(
            name, name, expires_at=stamp(PAST), strict_expiry_enforcement=strict
        )  # fmt: skip
        ids[name] = made.id
    for name in ("DELETED", "AGAIN"):
        await client.delete(ids[name])
    await client.create("AGAIN", "again")
    return ids


async def _alone(stand: Stand, client: Client, **which: str) -> Told:
    try:
        await stand.access(client.tenant_id, **which)
    except CofferError as error:
        return error.code, error.reason, error.retry_after
    return OK


async def _batch(
    stand: Stand, client: Client, items: list[dict[str, Any]], who: str = "consumer/dev"
) -> Any:
    request = secrets_pb2.BatchAccessSecretsRequest(tenant_id=str(client.tenant_id))
    for item in items:
        request.items.add(**item)
    reply = await answered(stand.stub(who).BatchAccessSecrets(request, timeout=30))
    return reply.results


def _told(result: Any) -> Told:
    if result.WhichOneof("result") == "secret":
        return OK
    error = parse_status(result.error)
    assert error is not None
    return error.code, error.reason, error.retry_after
