"""Certificates at rest: which expiry counts where, what renewing moves."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from coffer.secrets.v1 import secrets_pb2
from cryptography import x509

from services.common.errors import CofferError
from tests.fakes import certificates, odd_certificates
from tests.integration.secrets.certificates import (
    LATER,
    LATEST,
    NOW,
    PAST,
    SOON,
    issued,
    moment,
    renew,
    stamp,
    store,
)
from tests.integration.secrets.stand import outcomes

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client, Stand


async def test_a_certificate_expires_with_its_leaf_and_a_renewed_one_later(
    stand: Stand, client: Client
) -> None:
    made = await store(client, "TLS", SOON)
    assert moment(await client.get(made.id)) == SOON
    assert moment(await stand.access(client.tenant_id, name="TLS")) == SOON
    await renew(client, made.id, LATER)
    shown = await client.get(made.id)
    assert moment(shown) == moment(shown.metadata) == LATER
    assert moment(await stand.access(client.tenant_id, name="TLS")) == LATER


@pytest.mark.parametrize("renewing", [False, True])
async def test_fractions_of_a_second_are_no_expiry_of_an_environments_own(
    stand: Stand, client: Client, renewing: bool
) -> None:
    validity = odd_certificates.sequence(
        odd_certificates.utc_time("260101000000Z"),
        odd_certificates.generalized_time("20300101000000.123456Z"),
    )
    content = odd_certificates.odd_pem(odd_certificates.odd(validity=validity))
    if renewing:
        made = await store(client, "TLS", SOON)
        await client.call(
            "PutSecretValue",
            secrets_pb2.PutSecretValueRequest(id=made.id, certificate_content=content),
        )
    else:
        made = await client.call(
            "CreateCertificate",
            secrets_pb2.CreateCertificateRequest(name="TLS", certificate_content=content),
        )
    shown = await client.get(made.id)
    assert [one.HasField("expires_at_override") for one in shown.environments] == [False]


async def test_an_expiry_that_was_asked_for_stays_whatever_certificate_comes(
    stand: Stand, client: Client
) -> None:
    # The first one as the leaf's own: that it was asked for is not told by its value.
    made = await store(client, "TLS", SOON, expires_at=stamp(SOON))
    await renew(client, made.id, LATER)
    assert moment(await client.get(made.id)) == SOON
    assert moment(await stand.access(client.tenant_id, name="TLS")) == SOON


async def test_enforced_expiry_refuses_an_expired_certificate_until_it_is_renewed(
    stand: Stand, client: Client
) -> None:
    made = await store(client, "TLS", PAST, strict_expiry_enforcement=True)
    assert [warning.code for warning in made.metadata.warnings] == ["expired", "self_signed"]
    with pytest.raises(CofferError) as refused:
        await stand.access(client.tenant_id, name="TLS")
    assert (refused.value.code, refused.value.reason) == ("invalid_state", "expired")
    await renew(client, made.id, LATER)
    assert list((await stand.access(client.tenant_id, name="TLS")).warnings) == []
    with pytest.raises(CofferError) as refused:
        await stand.access(client.tenant_id, name="TLS", value_version=1)
    assert refused.value.reason == "expired"


async def test_an_expired_certificate_is_given_out_with_a_warning_where_nothing_is_enforced(
    stand: Stand, client: Client
) -> None:
    await store(client, "TLS", PAST, expires_at=stamp(LATER))
    found = await stand.access(client.tenant_id, name="TLS")
    assert moment(found) == LATER
    assert [(w.code, w.message) for w in found.warnings] == [
        ("expired", "The certificate has expired.")
    ]


async def test_each_environment_has_the_expiry_of_its_own_certificate(
    stand: Stand, client: Client
) -> None:
    made = await store(client, "TLS", SOON)
    await renew(client, made.id, LATER, environment="staging")
    shown = await client.get(made.id)
    assert moment(shown) == moment(shown.metadata) == SOON
    overrides = {e.environment_name: moment(e, "expires_at_override") for e in shown.environments}
    assert overrides == {"production": None, "staging": LATER}
    staged = await stand.access(client.tenant_id, name="TLS", environment="staging")
    assert moment(staged) == LATER
    # Renewing the base environment's takes nothing of the other's.
    await renew(client, made.id, LATEST)
    assert moment(await client.get(made.id)) == LATEST
    staged = await stand.access(client.tenant_id, name="TLS", environment="staging")
    assert (moment(staged), staged.value_version) == (LATER, 1)


async def test_another_environments_certificate_changes_nothing_of_the_row(
    client: Client,
) -> None:
    made = await store(client, "TLS", SOON)
    before = await client.get(made.id)
    await renew(client, made.id, LATER, environment="staging")
    after = await client.get(made.id)
    assert after.metadata == before.metadata == made.metadata
    assert (after.certificate_type, after.value_version) == ("pem", 1)


async def test_each_value_has_the_type_that_it_was_sent_as(stand: Stand, client: Client) -> None:
    made = await store(client, "TLS", SOON)
    made_of = issued(LATER)
    der = base64.b64encode(made_of.der).decode()
    for where in ("production", "staging"):
        put = secrets_pb2.PutSecretValueRequest(
            id=made.id, certificate_content=der, certificate_type="crt", environment=where
        )
        await client.call("PutSecretValue", put)
    await renew(client, made.id, LATEST, environment="staging")
    shown = await client.get(made.id)
    assert (shown.certificate_type, shown.value_version) == ("crt", 2)
    assert shown.metadata.sha256_fingerprint == hashlib.sha256(made_of.der).hexdigest()
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
    made_of = certificates.issue(extensions=[(padding, False)])
    request = secrets_pb2.CreateCertificateRequest(
        name="TLS", certificate_content=made_of.pem, private_key=made_of.key_pem + " " * 60_000
    )
    await client.call("CreateCertificate", request)
    found = await stand.access(client.tenant_id, name="TLS")
    assert found.certificate.content == found.certificate.normal_form.certificate == made_of.pem
    assert 1_400_000 < found.ByteSize() < 4 * 1024 * 1024


async def test_those_to_renew_are_found_and_sorted_by_when(client: Client) -> None:
    await store(client, "SOON", SOON)
    await store(client, "LATER", LATER)
    await store(client, "LATEST", LATEST)
    await store(client, "PAST", PAST)
    await store(client, "ASKED", LATEST, expires_at=stamp(SOON + timedelta(days=1)))
    await client.create("STRING", expires_at=stamp(NOW))
    await client.create("NEVER")
    found = await client.list(expires_before=stamp(LATER), sort="expires_at")
    assert [row.name for row in found.secrets] == ["PAST", "STRING", "SOON", "ASKED"]
    found = await client.list(expires_before=stamp(LATER), sort="expires_at", order="desc")
    assert [row.name for row in found.secrets] == ["ASKED", "SOON", "STRING", "PAST"]
    found = await client.list(sort="expires_at", secret_type="certificate")
    assert [row.name for row in found.secrets] == ["PAST", "SOON", "ASKED", "LATER", "LATEST"]
    assert [row.name for row in (await client.list(sort="expires_at")).secrets][-1] == "NEVER"


async def test_a_moment_itself_is_not_before_it(client: Client) -> None:
    await store(client, "TLS", SOON)
    assert (await client.list(expires_before=stamp(SOON))).page.total == 0
    assert (await client.list(expires_before=stamp(SOON + timedelta(seconds=1)))).page.total == 1


async def test_a_refused_certificate_changes_nothing(stand: Stand, client: Client) -> None:
    made = await store(client, "TLS", SOON)
    before = stand.database.rows("select s::text from secrets.secret s")
    stranger = certificates.issue()
    refused: dict[str, dict[str, Any]] = {
        "not_this_format": {"certificate_content": "no certificate"},
        "empty": {"certificate_content": " "},
        "key_mismatch": {
            "certificate_content": issued(LATER).pem,
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
    certificate, string = await store(client, "TLS", SOON), await client.create("STRING", "v")
    found = await outcomes([client.put(certificate.id, "v"), renew(client, string.id, LATER)])
    assert found == ["validation_error"] * 2
    assert (await stand.access(client.tenant_id, name="STRING")).value == "v"
    assert (await client.get(certificate.id)).value_version == 1


async def test_a_stale_version_is_not_written_over(client: Client) -> None:
    made = await store(client, "TLS", SOON)
    assert (await renew(client, made.id, LATER, if_match=1)).value_version == 2
    assert await outcomes([renew(client, made.id, SOON, if_match=1)]) == ["version_mismatch"]
    assert moment(await client.get(made.id)) == LATER


async def test_the_normal_form_is_erased_with_what_it_was_made_of(
    stand: Stand, client: Client
) -> None:
    made_of = issued(LATER)
    request = secrets_pb2.CreateCertificateRequest(
        name="TLS", certificate_content=made_of.pem, private_key=made_of.key_pem
    )
    await client.call("CreateCertificate", request)
    form = (await stand.access(client.tenant_id, name="TLS")).certificate.normal_form
    assert (form.certificate, form.chain, form.private_key) == (made_of.pem, "", made_of.key_pem)
    moved = "update secrets.value_version set content = normal_form"
    stand.database.execute(moved)
    assert await outcomes([stand.access(client.tenant_id, name="TLS")]) == ["internal_error"]
    stand.database.execute("update secrets.data_key set wrapped = decode(repeat('00', 68), 'hex')")
    assert await outcomes([stand.access(client.tenant_id, name="TLS")]) == ["internal_error"]
