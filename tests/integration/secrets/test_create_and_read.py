"""A secret is stored, shown without its value, and read by a granted consumer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from coffer.secrets.v1 import secrets_pb2

from services.common.errors import CofferError
from tests.fakes import certificates
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Stand

CANARY = "canary-5f2b7c1e-do-not-store-in-clear"


async def test_a_stored_value_comes_back_to_a_granted_consumer(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    made = await client.create("  DB  PASSWORD ", "hunter2 ⚿", description="for people")
    assert (made.name, made.shortcode_name, made.value_version) == ("DB_PASSWORD", "DB_PASSWORD", 1)
    assert (made.base_environment, made.environment_count) == ("production", 1)
    by_name = await stand.access(client.tenant_id, name="DB_PASSWORD")
    by_id = await stand.access(client.tenant_id, secret_id=made.id, environment="production")
    assert by_name.value == by_id.value == "hunter2 ⚿"
    assert by_name.value_version == 1


async def test_every_access_leaves_an_audit_event(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await client.create("ONE", CANARY)
    await outcomes([stand.access(client.tenant_id, name="ONE") for _ in range(20)])
    rows = stand.database.rows(
        "select action, actor, details, ip_address from audit.event"
        " where starts_with(action, 'secret.') order by seq"
    )
    assert {row[3] for row in rows[1:]} == {"127.0.0.1"}
    assert [row[0] for row in rows] == ["secret.created"] + ["secret.accessed"] * 20
    assert {row[1] for row in rows[1:]} == {"consumer:dev"}
    assert json.loads(str(rows[1][2]))["name"] == "ONE"
    assert CANARY not in str(rows)


async def test_without_the_audit_event_there_is_no_value(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    await client.create("ONE", CANARY)
    stand.database.execute(
        "revoke execute on function audit.append(uuid, jsonb) from coffer_secrets"
    )
    with pytest.raises(CofferError) as caught:
        await stand.access(client.tenant_id, name="ONE")
    assert caught.value.code == "internal_error"
    assert await outcomes([client.create("TWO")]) == ["internal_error"]
    assert (await client.list()).page.total == 1


async def test_no_column_holds_a_value_a_key_or_a_passphrase_in_clear(stand: Stand) -> None:
    client = stand.tenant()
    passphrase = "canary-passphrase-77"
    key = certificates.ec_key()
    key_text = certificates.key_pem(key, passphrase)
    content = certificates.issue(key=key).pem
    await client.create("ONE", CANARY)
    request = secrets_pb2.CreateCertificateRequest(
        name="CERT", certificate_content=content, private_key=key_text, passphrase=passphrase
    )
    await client.call("CreateCertificate", request)
    data_keys = [plaintext.hex() for plaintext in stand.kms.plaintexts]
    tables = stand.database.rows(
        "select schemaname, tablename from pg_tables"
        " where schemaname in ('secrets', 'audit', 'kms', 'rewrap', 'tenancy')"
    )
    body = key_text.splitlines()[1]
    for schema, table in tables:
        dump = str(stand.database.rows(f"select t::text from {schema}.{table} t")).lower()
        for canary in (CANARY, passphrase, body):
            assert canary.lower() not in dump, (schema, table)
            assert canary.encode().hex() not in dump, (schema, table)
        assert not any(data_key in dump for data_key in data_keys)


async def test_a_certificate_comes_back_byte_for_byte(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    key = certificates.ec_key()
    key_text = certificates.key_pem(key, "open sesame")
    content = certificates.issue(key=key).pem
    request = secrets_pb2.CreateSecretRequest(
        name="TLS",
        secret_type="certificate",
        certificate_content=content,
        private_key=key_text,
        passphrase="open sesame",
    )
    made = (await client.call("CreateSecret", request)).certificate
    assert made.certificate_type == "pem"
    assert made.metadata.has_private_key
    assert made.metadata.has_passphrase
    found = await stand.access(client.tenant_id, name="TLS")
    assert found.WhichOneof("content") == "certificate"
    assert found.certificate.content == content
    assert found.certificate.private_key == key_text
    assert found.certificate.passphrase == "open sesame"
    shown = await client.get(made.id)
    assert shown.metadata == made.metadata


async def test_a_new_certificate_changes_the_metadata_and_an_old_version_still_opens(
    stand: Stand,
) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    first, second = (certificates.issue().pem for _ in range(2))
    request = secrets_pb2.CreateCertificateRequest(name="TLS", certificate_content=first)
    made = await client.call("CreateCertificate", request)
    put = secrets_pb2.PutSecretValueRequest(id=made.id, certificate_content=second)
    assert (await client.call("PutSecretValue", put)).value_version == 2
    shown = await client.get(made.id)
    assert shown.metadata.sha256_fingerprint != made.metadata.sha256_fingerprint
    now = await stand.access(client.tenant_id, name="TLS")
    then = await stand.access(client.tenant_id, name="TLS", value_version=1)
    assert (then.certificate.content, now.certificate.content) == (first, second)


async def test_faults_of_a_request_are_told_all_at_once(stand: Stand) -> None:
    client = stand.tenant()
    request = secrets_pb2.CreateSecretRequest(
        name="a/b",
        value="",
        description="x\x00y",
        environment="nowhere",
        collection_id=str(uuid4()),
        private_key="k",
    )
    with pytest.raises(CofferError) as caught:
        await client.call("CreateSecret", request)
    assert caught.value.code == "validation_error"
    assert set(caught.value.fields) == {
        "name", "value", "description", "environment", "collection_id", "private_key",
    }  # fmt: skip


async def test_an_unknown_collection_alone_is_refused_and_takes_no_slot(stand: Stand) -> None:
    client = stand.tenant()
    with pytest.raises(CofferError) as caught:
        await client.create("ONE", collection_id=str(uuid4()))
    assert caught.value.code == "validation_error"
    assert set(caught.value.fields) == {"collection_id"}
    assert client.live_secrets() == 0


async def test_types_of_published_clients_are_stored_as_strings(stand: Stand) -> None:
    client = stand.tenant()
    for kind in ("api_key", "basic_auth", "custom", "string"):
        assert (await client.create(f"S_{kind}", secret_type=kind)).secret_type == "string"
    assert await outcomes([client.create("O", secret_type="oauth2")]) == ["unsupported_type"]
    assert await outcomes([client.create("O", secret_type="magic")]) == ["validation_error"]


async def test_an_environment_that_was_made_anew_is_found_again(stand: Stand) -> None:
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    first = await client.create("ONE")
    await client.delete(first.id)
    for table in ("value_version", "data_key", "secret_environment", "secret", "environment"):
        stand.database.execute(f"delete from secrets.{table}")
    await client.create("ONE", "again")
    assert (await stand.access(client.tenant_id, name="ONE")).value == "again"
