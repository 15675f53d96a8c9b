"""Certificates at rest: which expiry counts where, what renewing moves, what older rows lack."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from coffer.secrets.v1 import secrets_pb2
from cryptography import x509
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import CofferError
from services.common.migrations.runner import migrate
from services.secrets.model import Listing
from services.secrets.store import reads
from tests.fakes import certificates
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.fixtures.database import TestDatabase
    from tests.integration.secrets.stand import Client, Stand

NOW = datetime.now(UTC).replace(microsecond=0)
SOON, LATER, LATEST = (NOW + timedelta(days=days) for days in (10, 100, 1000))
PAST = NOW - timedelta(days=1)


def _issued(not_after: datetime) -> certificates.Issued:
    return certificates.issue(not_before=NOW - timedelta(days=900), not_after=not_after)


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _moment(message: Any, field: str = "expires_at") -> datetime | None:
    found: datetime = getattr(message, field).ToDatetime(UTC)
    return found if message.HasField(field) else None


async def _store(client: Client, name: str, not_after: datetime, **fields: Any) -> Any:
    content = _issued(not_after).pem
    request = secrets_pb2.CreateCertificateRequest(
        name=name, certificate_content=content, **fields
    )  # fmt: skip
    return await client.call("CreateCertificate", request)


async def _renew(client: Client, secret_id: str, not_after: datetime, **fields: Any) -> Any:
    content = _issued(not_after).pem
    request = secrets_pb2.PutSecretValueRequest(
        id=secret_id, certificate_content=content, **fields
    )  # fmt: skip
    return await client.call("PutSecretValue", request)


@pytest.fixture
def client(stand: Stand) -> Client:
    made = stand.tenant()
    stand.database.grant_consumer(made.tenant_id, "dev")
    stand.database.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " values (%s, %s, 'staging', 'Staging')",
        (made.tenant_id, uuid4()),
    )
    return made


async def test_a_certificate_expires_with_its_leaf_and_a_renewed_one_later(
    stand: Stand, client: Client
) -> None:
    made = await _store(client, "TLS", SOON)
    assert _moment(await client.get(made.id)) == SOON
    assert _moment(await stand.access(client.tenant_id, name="TLS")) == SOON
    await _renew(client, made.id, LATER)
    shown = await client.get(made.id)
    assert _moment(shown) == _moment(shown.metadata) == LATER
    assert _moment(await stand.access(client.tenant_id, name="TLS")) == LATER


async def test_an_expiry_that_was_asked_for_stays_whatever_certificate_comes(
    stand: Stand, client: Client
) -> None:
    # The first one as the leaf's own: that it was asked for is not told by its value.
    made = await _store(client, "TLS", SOON, expires_at=_stamp(SOON))
    await _renew(client, made.id, LATER)
    assert _moment(await client.get(made.id)) == SOON
    assert _moment(await stand.access(client.tenant_id, name="TLS")) == SOON


async def test_enforced_expiry_refuses_an_expired_certificate_until_it_is_renewed(
    stand: Stand, client: Client
) -> None:
    made = await _store(client, "TLS", PAST, strict_expiry_enforcement=True)
    assert [warning.code for warning in made.metadata.warnings] == ["expired", "self_signed"]
    with pytest.raises(CofferError) as refused:
        await stand.access(client.tenant_id, name="TLS")
    assert (refused.value.code, refused.value.reason) == ("invalid_state", "expired")
    await _renew(client, made.id, LATER)
    assert list((await stand.access(client.tenant_id, name="TLS")).warnings) == []
    with pytest.raises(CofferError) as refused:
        await stand.access(client.tenant_id, name="TLS", value_version=1)
    assert refused.value.reason == "expired"


async def test_an_expired_certificate_is_given_out_with_a_warning_where_nothing_is_enforced(
    stand: Stand, client: Client
) -> None:
    await _store(client, "TLS", PAST, expires_at=_stamp(LATER))
    found = await stand.access(client.tenant_id, name="TLS")
    assert _moment(found) == LATER
    assert [(w.code, w.message) for w in found.warnings] == [
        ("expired", "The certificate has expired.")
    ]


async def test_each_environment_has_the_expiry_of_its_own_certificate(
    stand: Stand, client: Client
) -> None:
    made = await _store(client, "TLS", SOON)
    await _renew(client, made.id, LATER, environment="staging")
    shown = await client.get(made.id)
    assert _moment(shown) == _moment(shown.metadata) == SOON
    overrides = {e.environment_name: _moment(e, "expires_at_override") for e in shown.environments}
    assert overrides == {"production": None, "staging": LATER}
    staged = await stand.access(client.tenant_id, name="TLS", environment="staging")
    assert _moment(staged) == LATER
    # Renewing the base environment's takes nothing of the other's.
    await _renew(client, made.id, LATEST)
    assert _moment(await client.get(made.id)) == LATEST
    staged = await stand.access(client.tenant_id, name="TLS", environment="staging")
    assert (_moment(staged), staged.value_version) == (LATER, 1)


async def test_another_environments_certificate_changes_nothing_of_the_row(
    client: Client,
) -> None:
    made = await _store(client, "TLS", SOON)
    before = await client.get(made.id)
    await _renew(client, made.id, LATER, environment="staging")
    after = await client.get(made.id)
    assert after.metadata == before.metadata == made.metadata
    assert (after.certificate_type, after.value_version) == ("pem", 1)


async def test_each_value_has_the_type_that_it_was_sent_as(stand: Stand, client: Client) -> None:
    made = await _store(client, "TLS", SOON)
    issued = _issued(LATER)
    der = base64.b64encode(issued.der).decode()
    for where in ("production", "staging"):
        put = secrets_pb2.PutSecretValueRequest(
            id=made.id, certificate_content=der, certificate_type="crt", environment=where
        )
        await client.call("PutSecretValue", put)
    await _renew(client, made.id, LATEST, environment="staging")
    shown = await client.get(made.id)
    assert (shown.certificate_type, shown.value_version) == ("crt", 2)
    assert shown.metadata.sha256_fingerprint == hashlib.sha256(issued.der).hexdigest()
    types = {
        (where, number): (
            await stand.access(
                client.tenant_id, name="TLS", environment=where, value_version=number
            )
        ).certificate.certificate_type
        for where in ("production", "staging")
        for number in (1, 2)
    }
    assert types == {
        ("production", 1): "pem", ("production", 2): "crt",
        ("staging", 1): "crt", ("staging", 2): "pem",
    }  # fmt: skip


async def test_the_largest_certificate_fits_into_a_reply_of_grpcs_usual_size(
    stand: Stand, client: Client
) -> None:
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(500 * 1024))
    issued = certificates.issue(extensions=[(padding, False)])
    request = secrets_pb2.CreateCertificateRequest(
        name="TLS", certificate_content=issued.pem, private_key=issued.key_pem + " " * 60_000
    )
    await client.call("CreateCertificate", request)
    found = await stand.access(client.tenant_id, name="TLS")
    assert found.certificate.content == found.certificate.normal_form.certificate == issued.pem
    assert 1_400_000 < found.ByteSize() < 4 * 1024 * 1024


async def test_those_to_renew_are_found_and_sorted_by_when(client: Client) -> None:
    await _store(client, "SOON", SOON)
    await _store(client, "LATER", LATER)
    await _store(client, "LATEST", LATEST)
    await _store(client, "PAST", PAST)
    await _store(client, "ASKED", LATEST, expires_at=_stamp(SOON + timedelta(days=1)))
    await client.create("STRING", expires_at=_stamp(NOW))
    await client.create("NEVER")
    found = await client.list(expires_before=_stamp(LATER), sort="expires_at")
    assert [row.name for row in found.secrets] == ["PAST", "STRING", "SOON", "ASKED"]
    found = await client.list(expires_before=_stamp(LATER), sort="expires_at", order="desc")
    assert [row.name for row in found.secrets] == ["ASKED", "SOON", "STRING", "PAST"]
    found = await client.list(sort="expires_at", secret_type="certificate")
    assert [row.name for row in found.secrets] == ["PAST", "SOON", "ASKED", "LATER", "LATEST"]
    assert [row.name for row in (await client.list(sort="expires_at")).secrets][-1] == "NEVER"


async def test_a_moment_itself_is_not_before_it(client: Client) -> None:
    await _store(client, "TLS", SOON)
    assert (await client.list(expires_before=_stamp(SOON))).page.total == 0
    assert (await client.list(expires_before=_stamp(SOON + timedelta(seconds=1)))).page.total == 1


async def test_a_refused_certificate_changes_nothing(stand: Stand, client: Client) -> None:
    made = await _store(client, "TLS", SOON)
    before = stand.database.rows("select s::text from secrets.secret s")
    stranger = certificates.issue()
    refused: dict[str, dict[str, Any]] = {
        "not_this_format": {"certificate_content": "no certificate"},
        "empty": {"certificate_content": " "},
        "key_mismatch": {
            "certificate_content": _issued(LATER).pem,
            "private_key": stranger.key_pem,
        },
    }
    for reason, fields in refused.items():
        request = secrets_pb2.PutSecretValueRequest(id=made.id, **fields)
        with pytest.raises(CofferError) as caught:
            await client.call("PutSecretValue", request)
        assert (caught.value.code, caught.value.reason) == ("validation_error", reason)
    assert stand.database.rows("select s::text from secrets.secret s") == before
    assert (await client.get(made.id)).value_version == 1


async def test_neither_type_is_put_over_the_other(stand: Stand, client: Client) -> None:
    certificate, string = await _store(client, "TLS", SOON), await client.create("STRING", "v")
    found = await outcomes([client.put(certificate.id, "v"), _renew(client, string.id, LATER)])
    assert found == ["validation_error"] * 2
    assert (await stand.access(client.tenant_id, name="STRING")).value == "v"
    assert (await client.get(certificate.id)).value_version == 1


async def test_a_stale_version_is_not_written_over(client: Client) -> None:
    made = await _store(client, "TLS", SOON)
    assert (await _renew(client, made.id, LATER, if_match=1)).value_version == 2
    assert await outcomes([_renew(client, made.id, SOON, if_match=1)]) == ["version_mismatch"]
    assert _moment(await client.get(made.id)) == LATER


async def test_the_normal_form_is_erased_with_what_it_was_made_of(
    stand: Stand, client: Client
) -> None:
    issued = _issued(LATER)
    request = secrets_pb2.CreateCertificateRequest(
        name="TLS", certificate_content=issued.pem, private_key=issued.key_pem
    )
    await client.call("CreateCertificate", request)
    form = (await stand.access(client.tenant_id, name="TLS")).certificate.normal_form
    assert (form.certificate, form.chain, form.private_key) == (issued.pem, "", issued.key_pem)
    moved = "update secrets.value_version set content = normal_form"
    stand.database.execute(moved)
    assert await outcomes([stand.access(client.tenant_id, name="TLS")]) == ["internal_error"]
    stand.database.execute("update secrets.data_key set wrapped = decode(repeat('00', 68), 'hex')")
    assert await outcomes([stand.access(client.tenant_id, name="TLS")]) == ["internal_error"]


TO_0001 = (
    "drop index secrets.value_version_data_key",
    "alter table secrets.value_version add unique (tenant_id, data_key_id)",
    "alter table secrets.value_version drop column normal_form, drop column certificate_expires_at",
    "alter table secrets.secret drop column certificate_expires_at",
    "update secrets.schema_revision set version_num = '0001'",
)


async def test_what_was_stored_before_the_migration_opens_and_is_found_to_be_renewed(
    stand: Stand, client: Client
) -> None:
    made = await _store(client, "TLS", SOON)
    await _renew(client, made.id, LATER)
    await client.create("STRING", "v")
    before = await client.get(made.id)
    for statement in TO_0001:
        stand.database.execute(statement)
    assert migrate(stand.database.admin_dsn, {}) == ["secrets: 0001 -> 0002"]
    after = await client.get(made.id)
    assert after == before
    found = await stand.access(client.tenant_id, name="TLS")
    assert _moment(found) == LATER
    assert not found.certificate.HasField("normal_form")
    assert (await stand.access(client.tenant_id, name="STRING")).value == "v"
    # Of a version that is not the current one nothing was kept.
    assert _moment(await stand.access(client.tenant_id, name="TLS", value_version=1)) is None
    listed = await client.list(expires_before=_stamp(LATEST))
    assert [row.name for row in listed.secrets] == ["TLS"]
    forced = stand.database.rows(
        "select relforcerowsecurity from pg_class where relnamespace = 'secrets'::regnamespace"
        " and relkind = 'r' and relname <> 'schema_revision'"
    )
    assert set(forced) == {(True,)}


MANY = """
do $$ declare t uuid := '{tenant}'; e uuid := gen_random_uuid();
begin
    insert into secrets.environment (tenant_id, id, name, display_name, is_default)
    values (t, e, 'production', 'Production', true);
    insert into secrets.secret (tenant_id, id, name, secret_type, base_environment_id, created_at,
        updated_at, certificate_type, metadata, certificate_expires_at)
    select t, gen_random_uuid(), 'S' || n, 'certificate', e, now(), now(), 'pem', '{{}}',
        now() + n * interval '1 day' from generate_series(1, 5000) n;
end $$
"""


def test_those_to_renew_are_not_looked_for_among_all(database: TestDatabase) -> None:
    tenant_id = database.create_tenant("acme")
    database.execute(MANY.format(tenant=tenant_id))
    for statement in ("select 1", "analyze"):
        database.execute(statement)
        plan = _plan_of_page(database.dsn("coffer_secrets"), tenant_id)
        assert "secret_expiry" in plan
        assert '"Sort"' not in plan


def _plan_of_page(dsn: str, tenant_id: UUID) -> str:
    listing = Listing(
        page=1,
        per_page=20,
        sort="expires_at",
        descending=False,
        secret_type=None,
        collection_id=None,
        environment=None,
        search=None,
        expires_before=SOON,
    )
    _, query, parameters = reads.queries(tenant_id, listing)
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant_id),))
        cursor = connection.execute(f"explain (format json) {query}".encode(), parameters)
        return json.dumps(cursor.fetchall())
