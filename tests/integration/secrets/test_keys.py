"""Moved rows do not open; rotations, revokes and seals are met at the right moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from services.common.database import Database
from services.common.errors import CofferError
from services.common.identity import Call
from services.secrets.model import StaleKeyVersionError
from services.secrets.store import PostgresSecrets
from tests.fakes.secrets_values import new_secret
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand


async def _two_secrets(stand: Stand) -> Client:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await client.create("ONE", "first")
    await client.create("TWO", "second")
    return client


_MOVES = {
    "from another secret, alone": """update secrets.value_version v set value = o.value
        from secrets.value_version o where v.tenant_id = o.tenant_id and v.secret_id = %s
        and o.secret_id = %s""",
    "from another secret, with its wrapped key": """with moved as (
        update secrets.value_version v set value = o.value from secrets.value_version o
        where v.secret_id = %s and o.secret_id = %s returning v.data_key_id as mine,
        o.data_key_id as theirs)
        update secrets.data_key d set wrapped = o.wrapped from moved, secrets.data_key o
        where d.id = moved.mine and o.id = moved.theirs""",
}


@pytest.mark.parametrize("move", _MOVES.values(), ids=_MOVES.keys())
async def test_a_value_moved_from_another_secret_does_not_open(stand: Stand, move: str) -> None:
    client = await _two_secrets(stand)
    ids = {row.name: row.id for row in (await client.list()).secrets}
    stand.database.execute(move, (ids["ONE"], ids["TWO"]))
    assert await outcomes([stand.access(client.tenant_id, name="ONE")]) == ["internal_error"]
    assert (await stand.access(client.tenant_id, name="TWO")).value == "second"


async def test_a_data_key_pointed_at_by_another_secret_does_not_open_it(stand: Stand) -> None:
    client = await _two_secrets(stand)
    rows = stand.database.rows(
        "select v.secret_id, v.data_key_id, v.value from secrets.value_version v"
        " join secrets.secret s on s.id = v.secret_id order by s.name"
    )
    stand.database.execute("delete from secrets.value_version where secret_id = %s", (rows[1][0],))
    stand.database.execute(
        "update secrets.value_version set data_key_id = %s, value = %s where secret_id = %s",
        (rows[1][1], rows[1][2], rows[0][0]),
    )
    assert await outcomes([stand.access(client.tenant_id, name="ONE")]) == ["internal_error"]


async def test_an_old_version_passed_off_as_the_new_one_does_not_open(stand: Stand) -> None:
    client = await _two_secrets(stand)
    made = (await client.list()).secrets[0]
    await client.put(made.id, "newer")
    stand.database.execute("set session_replication_role = replica")
    stand.database.execute(
        "with gone as (delete from secrets.value_version where secret_id = %s"
        " and value_version = 2 returning 1) select count(*) from gone",
        (made.id,),
    )
    stand.database.execute(
        "update secrets.value_version set value_version = 2 where secret_id = %s", (made.id,)
    )
    assert await outcomes([stand.access(client.tenant_id, name="ONE")]) == ["internal_error"]


async def test_a_row_copied_to_another_tenant_does_not_open(stand: Stand) -> None:
    client = await _two_secrets(stand)
    other = stand.tenant("other")
    stand.database.grant_consumer(other.tenant_id, "dev")
    await other.create("ONE", "theirs")
    stand.database.execute(
        "update secrets.value_version v set value = o.value from secrets.value_version o,"
        " secrets.secret s where v.tenant_id = %s and o.tenant_id = %s"
        " and s.id = o.secret_id and s.name = 'ONE'",
        (other.tenant_id, client.tenant_id),
    )
    assert await outcomes([stand.access(other.tenant_id, name="ONE")]) == ["internal_error"]


async def test_a_private_key_passed_off_as_the_passphrase_does_not_open(stand: Stand) -> None:
    from coffer.secrets.v1 import secrets_pb2

    from tests.fakes import certificates

    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    issued = certificates.issue()
    request = secrets_pb2.CreateCertificateRequest(
        name="TLS", certificate_content=issued.pem, private_key=issued.key_pem
    )
    await client.call("CreateCertificate", request)
    stand.database.execute("update secrets.value_version set passphrase = private_key")
    assert await outcomes([stand.access(client.tenant_id, name="TLS")]) == ["internal_error"]


async def test_a_key_made_before_a_rotation_and_stored_after_it_opens(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await outcomes([client.create(f"S{number}") for number in range(20)])
    stand.kms.rotate(client.tenant_id)
    await outcomes([client.create(f"AFTER{number}", f"v{number}") for number in range(20)])
    made = (await client.list(search="AFTER0")).secrets[0]
    stand.kms.rotate(client.tenant_id)
    await client.put(made.id, "put after it")
    versions = stand.database.rows(
        "select s.name, d.key_version from secrets.data_key d join secrets.value_version v"
        " on v.data_key_id = d.id join secrets.secret s on s.id = v.secret_id"
        " where v.value_version = (select max(w.value_version) from secrets.value_version w"
        " where w.secret_id = s.id)"
    )
    for name, version in versions:
        assert version == (3 if name == "AFTER0" else 2 if "AFTER" in str(name) else 1), name
    assert (await stand.access(client.tenant_id, name="AFTER0")).value == "put after it"
    assert (await stand.access(client.tenant_id, name="AFTER7")).value == "v7"
    assert not stand.kms.rewrapped, "a version that nothing stored needs was asked for"


async def test_a_key_of_a_version_that_is_not_active_is_never_stored(stand: Stand) -> None:
    client = stand.tenant()
    await client.create("ONE")
    stand.kms.rotate(client.tenant_id)
    database = Database(stand.database.dsn("coffer_secrets"), name="test", max_connections=1)
    await database.open()
    try:
        store = PostgresSecrets(database)
        environment = await store.environment(
            client.tenant_id, None, Call("test", "r", client.tenant_id)
        )
        assert environment is not None
        secret = new_secret("TWO", environment, call=Call("test", "r", client.tenant_id))
        with pytest.raises(StaleKeyVersionError):
            await store.create(client.tenant_id, 1, [secret])
    finally:
        await database.close()
    assert (await client.list()).page.total == 1


async def test_a_sealed_tenant_is_told_so_and_lists_all_the_same(stand: Stand) -> None:
    client = await _two_secrets(stand)
    other = stand.tenant("other")
    stand.kms.sealed.add(client.tenant_id)
    calls = [stand.access(client.tenant_id, name="ONE"), other.create("THEIRS")]
    sealed, harmless = await outcomes(calls)
    assert sealed == "tenant_sealed"
    assert harmless.name == "THEIRS"
    assert (await client.list()).page.total == 2
    created = await outcomes([client.create(f"S{number}") for number in range(20)])
    # A few are made with keys that were fetched ahead; whichever they are, the others are told.
    assert "tenant_sealed" in created
    with pytest.raises(CofferError) as caught:
        await client.create("LAST")
    assert caught.value.retry_after == 30


async def test_a_value_under_a_sealed_version_is_refused_with_the_reason(stand: Stand) -> None:
    client = await _two_secrets(stand)
    stand.kms.sealed_versions.add((client.tenant_id, 1))
    with pytest.raises(CofferError) as caught:
        await stand.access(client.tenant_id, name="ONE")
    assert (caught.value.code, caught.value.reason) == ("tenant_sealed", "access_denied")


async def test_a_value_under_a_revoked_version_is_gone(stand: Stand) -> None:
    client = await _two_secrets(stand)
    stand.kms.rotate(client.tenant_id)
    stand.kms.revoke(client.tenant_id, 1)
    await client.create("NEW", "lives")
    calls = [stand.access(client.tenant_id, name=name) for name in ("ONE", "TWO", "NEW")]
    one, two, new = await outcomes(calls)
    assert (one, two, new.value) == ("key_revoked", "key_revoked", "lives")


async def test_unused_data_keys_are_asked_for_one_by_one_when_a_tenant_is_quiet(
    stand: Stand,
) -> None:
    client = stand.tenant()
    await client.create("ONE")
    assert stand.kms.generated == [1]
    for start in range(0, 300, 100):
        names = [f"S{start + number}" for number in range(100)]
        await asyncio.gather(outcomes([client.create(name) for name in names]))
    assert len(stand.kms.generated) < 60
