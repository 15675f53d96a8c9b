"""Old values on a real database: shown, restored, removed; nothing lost, nothing twice, nothing back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from coffer.secrets.v1 import secrets_pb2, versions_pb2

from services.common.database import Database
from services.common.identity import Call
from services.secrets.groups import Unfinished
from services.secrets.store import versions as store_versions
from services.secrets.store.values import PostgresValues
from tests.integration.secrets.certificates import LATER, PAST, SOON, moment, renew, store
from tests.integration.secrets.groups import refused
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    import pytest

    from tests.integration.secrets.stand import Client, Stand


async def history(client: Client, secret_id: str, **fields: Any) -> Any:
    request = versions_pb2.ListSecretVersionsRequest(id=secret_id, **fields)
    return await client.call("ListSecretVersions", request)


async def restore(client: Client, secret_id: str, version: int, **fields: Any) -> Any:
    request = versions_pb2.RestoreSecretVersionRequest(
        id=secret_id, value_version=version, **fields
    )  # fmt: skip
    return await client.call("RestoreSecretVersion", request)


async def remove(client: Client, secret_id: str, environment: str = "staging") -> Any:
    request = secrets_pb2.DeleteSecretEnvironmentRequest(id=secret_id, environment_name=environment)
    return await client.call("DeleteSecretEnvironment", request)


async def test_an_old_value_is_restored_where_it_was(stand: Stand, client: Client) -> None:
    made = await client.create("ONE", "base")
    for value in ("first", "second"):
        await client.put(made.id, value, environment="staging")
    reply = await restore(client, made.id, 1, environment="staging", if_match=2)
    assert (reply.id, reply.name, reply.environment) == (made.id, "ONE", "staging")
    assert reply.value_version == 3
    found = await stand.access(client.tenant_id, name="ONE", environment="staging")
    assert (found.value, found.value_version) == ("first", 3)
    assert (await stand.access(client.tenant_id, name="ONE")).value == "base"
    listed = await history(client, made.id, environment="staging", per_page=2)
    rows = [(row.value_version, row.environment, row.is_current) for row in listed.versions]
    assert rows == [(3, "staging", True), (2, "staging", False)]
    assert (listed.page.total, listed.page.total_pages) == (3, 2)
    keys = stand.database.rows("select count(distinct data_key_id) from secrets.value_version")
    assert keys == [(4,)]
    ((details,),) = stand.database.rows(
        "select details from audit.event where action = 'secret.version_restored'"
    )
    told = {"name": "ONE", "environment": "staging", "from_version": 1, "to_version": 3}
    assert json.loads(str(details)) == told


async def test_who_asks_for_what_is_not_there_is_told_what(stand: Stand, client: Client) -> None:
    made = await client.create("ONE")
    gone = await client.create("GONE")
    await client.delete(gone.id)
    stranger = stand.tenant("stranger")
    found = await outcomes(
        [
            history(client, gone.id),
            history(client, "no-id"),
            history(stranger, made.id),
            history(client, made.id, environment="nowhere"),
            history(client, made.id, environment="No!"),
            restore(client, made.id, 2),
            restore(client, gone.id, 1),
            restore(stranger, made.id, 1),
            restore(client, made.id, 1, environment="nowhere"),
            restore(client, made.id, 1, environment="staging"),
            restore(client, made.id, 1, if_match=2),
            remove(client, made.id),
            remove(client, made.id, "nowhere"),
            remove(client, made.id, "No!"),
            remove(client, made.id, "production"),
            remove(client, gone.id, "production"),
            remove(stranger, made.id, "production"),
        ]
    )
    missing, wrong = "not_found", "validation_error"
    assert found == [
        *(missing, missing, missing, wrong, wrong),
        *(missing, missing, missing, wrong, missing, "version_mismatch"),
        *(missing, missing, missing, "conflict", missing, missing),
    ]
    empty = await history(client, made.id, environment="staging")
    assert (list(empty.versions), empty.page.total_pages) == ([], 0)
    assert (await client.get(made.id)).value_version == 1


async def test_the_metadata_of_a_certificate_follow_what_is_restored(
    stand: Stand, client: Client
) -> None:
    made = await store(client, "TLS", SOON)
    await renew(client, made.id, LATER)
    await renew(client, made.id, PAST, environment="staging")
    # As a release wrote it that knew no normal form.
    stand.database.execute(
        "update secrets.value_version v set normal_form = null, certificate_expires_at = null"
        " from secrets.environment e where e.id = v.environment_id and e.name = 'production'"
        " and v.value_version = 1"
    )
    assert (await restore(client, made.id, 1)).value_version == 3
    shown = await client.get(made.id)
    assert moment(shown) == moment(shown.metadata) == SOON
    assert shown.metadata.sha256_fingerprint == made.metadata.sha256_fingerprint
    assert [warning.code for warning in shown.metadata.warnings].count("expires_soon") == 1
    found = await stand.access(client.tenant_id, name="TLS")
    assert found.certificate.normal_form.certificate
    assert moment(found) == SOON
    rows = (await history(client, made.id)).versions
    assert [moment(row, "certificate_expires_at") for row in rows] == [SOON, LATER, None]
    assert {row.certificate_type for row in rows} == {"pem"}
    # Another environment's certificate is no business of the secret's row.
    await renew(client, made.id, LATER, environment="staging")
    await restore(client, made.id, 1, environment="staging")
    assert moment(await client.get(made.id)) == SOON


async def test_what_a_revoked_key_protected_is_listed_and_not_restored(
    stand: Stand, client: Client
) -> None:
    made = await client.create("ONE", "first")
    stand.kms.rotate(client.tenant_id)
    await client.put(made.id, "second")
    stand.kms.revoke(client.tenant_id, 1)
    before = _rows(stand)
    assert await outcomes([restore(client, made.id, 1)]) == ["key_revoked"]
    stand.kms.sealed.add(client.tenant_id)
    assert await outcomes([restore(client, made.id, 2)]) == ["tenant_sealed"]
    assert _rows(stand) == before
    listed = await history(client, made.id)
    assert [row.value_version for row in listed.versions] == [2, 1]


async def test_restores_puts_and_rotations_at_once_lose_no_version_and_repeat_none(
    stand: Stand, client: Client
) -> None:
    made = await client.create("ONE", "value-1")
    await client.put(made.id, "value-2")
    calls: list[Any] = []
    for number in range(3, 13):
        calls += [client.put(made.id, f"value-{number}"), restore(client, made.id, 2)]
        if number % 4 == 0:
            calls.append(_rotated(stand, client))
    calls += [restore(client, made.id, 1, if_match=2) for _ in range(3)]
    found = [one for one in await outcomes(calls) if one != "rotated"]
    versions = sorted(one.value_version for one in found if not isinstance(one, str))
    assert versions == list(range(3, 3 + len(versions)))
    assert {one for one in found if isinstance(one, str)} == {"version_mismatch"}
    assert len(versions) >= 20
    restored = [one.value_version for one in found[1:20:2]]
    values = [
        await stand.access(client.tenant_id, name="ONE", value_version=version)
        for version in restored
    ]
    assert {value.value for value in values} == {"value-2"}


async def test_a_removed_value_is_gone_with_its_keys_and_counts_on(
    stand: Stand, client: Client
) -> None:
    made = await client.create("ONE", "base")
    for value in ("first", "second"):
        await client.put(made.id, value, environment="staging")
    kept = stand.database.rows(
        "select v.data_key_id, v.value, k.wrapped from secrets.value_version v"
        " join secrets.data_key k on k.id = v.data_key_id"
        " join secrets.environment e on e.id = v.environment_id"
        " where e.name = 'staging' and v.value_version = 2"
    )
    assert (await remove(client, made.id)).deleted
    assert stand.database.rows("select count(*) from secrets.data_key") == [(1,)]
    shown = await client.get(made.id)
    assert shown.environment_count == len(shown.environments) == 1
    assert await outcomes(
        [
            stand.access(client.tenant_id, name="ONE", environment="staging"),
            remove(client, made.id),
            restore(client, made.id, 2, environment="staging"),
            client.put(made.id, "x", environment="staging", if_match=2),
        ]
    ) == ["not_found", "not_found", "not_found", "version_mismatch"]
    again = await client.put(made.id, "third", environment="staging")
    assert again.value_version == 3
    found = await stand.access(client.tenant_id, name="ONE", environment="staging")
    assert found.value == "third"
    # What somebody kept of the removed value does not open as the new one.
    ((key_id, sealed, wrapped),) = kept
    stand.database.execute(
        "insert into secrets.data_key (tenant_id, id, key_version, wrapped) values (%s, %s, 1, %s)",
        (client.tenant_id, key_id, wrapped),
    )
    stand.database.execute(
        "update secrets.value_version set data_key_id = %s, value = %s where value_version = 3",
        (key_id, sealed),
    )
    call = stand.access(client.tenant_id, name="ONE", environment="staging")
    assert await outcomes([call]) == ["internal_error"]
    ((details,),) = stand.database.rows(
        "select details from audit.event where action = 'secret.environment_removed'"
    )
    told = {"name": "ONE", "environment": "staging", "value_version": 2, "versions": 2}
    assert json.loads(str(details)) == told


async def test_a_long_history_is_removed_in_parts_the_current_value_last(
    stand: Stand, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_versions, "MAX_VERSIONS", 2)
    made = await client.create("ONE", "base")
    for number in range(7):
        await client.put(made.id, f"value-{number}", environment="staging")
    database = Database(stand.database.dsn("coffer_secrets"), name="test", max_connections=1)
    await database.open()
    call = Call.of_service("secrets")
    values = PostgresValues(database)
    begun = await values.remove(client.tenant_id, UUID(made.id), "staging", call)
    await database.close()
    assert begun == Unfinished()
    # What a crash left: the value, and what follows the oldest.
    assert (
        await stand.access(client.tenant_id, name="ONE", environment="staging")
    ).value == "value-6"
    page = await history(client, made.id, environment="staging")
    assert [row.value_version for row in page.versions] == [7, 6, 5, 4, 3]
    await remove(client, made.id)
    with refused("not_found"):
        await stand.access(client.tenant_id, name="ONE", environment="staging")
    assert stand.database.rows("select count(*) from secrets.value_version") == [(1,)]
    assert stand.database.rows("select count(*) from secrets.data_key") == [(1,)]
    assert (await client.put(made.id, "again", environment="staging")).value_version == 8


async def test_puts_and_removals_at_once_repeat_no_version(stand: Stand, client: Client) -> None:
    made = await client.create("ONE", "base")
    calls: list[Any] = []
    for number in range(12):
        calls.append(client.put(made.id, f"value-{number}", environment="staging"))
        if number % 3 == 2:
            calls += [remove(client, made.id), restore(client, made.id, 1, environment="staging")]
    found = await outcomes(calls)
    versions = sorted(one.value_version for one in found if hasattr(one, "value_version"))
    assert versions == list(range(1, len(versions) + 1))
    assert {one for one in found if isinstance(one, str)} <= {"not_found"}
    orphans = stand.database.rows(
        "select count(*) from secrets.data_key k where not exists"
        " (select from secrets.value_version v where v.data_key_id = k.id)"
    )
    assert orphans == [(0,)]


async def _rotated(stand: Stand, client: Client) -> str:
    stand.kms.rotate(client.tenant_id)
    return "rotated"


def _rows(stand: Stand) -> list[tuple[object, ...]]:
    return stand.database.rows(
        "select (select count(*) from secrets.value_version),"
        " (select count(*) from secrets.data_key), (select count(*) from audit.event),"
        " (select max(updated_at) from secrets.secret)"
    )
