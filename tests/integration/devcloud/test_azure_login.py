"""Logins of every kind through azure-identity, and everything that can be wrong with one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientAssertionCredential,
    CredentialUnavailableError,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from devcloud.azure.model import Federation
from devcloud.azure.seed import FEDERATION
from devcloud.azure.tokens import DEFAULT_LIFETIME_SECONDS, EXCHANGE_AUDIENCE
from tests.integration.devcloud.azure_stand import AzureStand, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devcloud.azure.server import AzureServer

SCOPE = "https://vault.azure.net/.default"


def login_refused(credential: Any, number: int) -> str:
    """Assert exactly this refusal; its text."""
    with pytest.raises(ClientAuthenticationError) as caught:
        credential.get_token(SCOPE)
    assert f"AADSTS{number}:" in str(caught.value)
    return str(caught.value)


@pytest.fixture
def azure(azure_server: AzureServer) -> Iterator[AzureStand]:
    """The seeded customer, whom no test here changes: a key of its own takes longer than a test."""
    with azure_server.control() as control:
        control.reset_ledger()
        stand = AzureStand(azure_server.announcement(), control)
        yield stand
        stand.close()


@pytest.fixture
def app(azure: AzureStand) -> Iterator[AzureStand]:
    """A stand with an application of its own, for tests that change it."""
    app = azure.control.create_app(azure.info["azure_operator_tenant_id"])
    azure.control.consent(app.client_id, azure.tenant)
    info = {
        **azure.info,
        "azure_client_id": app.client_id,
        "azure_client_secret": app.client_secret,
    }
    stand = AzureStand(info, azure.control)
    yield stand
    stand.close()


def test_a_wrong_secret_is_refused(azure: AzureStand) -> None:
    text = login_refused(azure.secret_credential(client_secret="guess"), 7000215)
    assert azure.client_id in text


def test_an_unknown_application_is_refused(azure: AzureStand) -> None:
    nobody = "00000000-0000-0000-0000-000000000001"
    login_refused(azure.secret_credential(client_id=nobody), 700016)


def test_an_unknown_tenant_has_no_configuration(azure: AzureStand) -> None:
    nowhere = "00000000-0000-0000-0000-000000000002"
    with pytest.raises(ClientAuthenticationError, match="Unable to get authority configuration"):
        azure.secret_credential(tenant_id=nowhere).get_token(SCOPE)
    outcomes = [call.outcome for call in azure.control.calls() if call.resource == nowhere]
    assert set(outcomes) == {"AADSTS90002"}


def test_a_tenant_that_takes_its_consent_back_gives_no_tokens(app: AzureStand) -> None:
    token = app.secret_credential().get_token(SCOPE)
    app.control.revoke_consent(app.client_id, app.tenant)
    login_refused(app.secret_credential(), 7000229)
    # As with Azure: what was issued stays good until its end.
    answer = app.raw("/keys/coffer?api-version=7.4", Authorization=f"Bearer {token.token}")
    assert answer.status_code == 403
    app.control.consent(app.client_id, app.tenant)
    app.secret_credential().get_token(SCOPE)


def test_a_disabled_application_is_refused(app: AzureStand) -> None:
    app.control.set_app_enabled(app.client_id, enabled=False)
    login_refused(app.secret_credential(), 7000112)
    app.control.set_app_enabled(app.client_id, enabled=True)
    app.secret_credential().get_token(SCOPE)


def test_an_expired_secret_is_refused_and_a_new_one_works(app: AzureStand) -> None:
    app.control.expire_secrets(app.client_id)
    login_refused(app.secret_credential(), 7000222)
    changed = app.control.rotate_secret(app.client_id)
    login_refused(app.secret_credential(), 7000215)
    app.secret_credential(client_secret=changed.client_secret).get_token(SCOPE)


def test_a_workload_logs_in_with_the_token_of_its_file(azure: AzureStand) -> None:
    credential = workload(azure, azure.info["azure_federated_token_file"])
    assert azure.wrap(client=azure.client(credential)).status_code == 200


@pytest.mark.parametrize(
    ("federation", "seconds", "number"),
    [
        (Federation(FEDERATION.issuer, "system:serviceaccount:other:pod"), 60.0, 700213),
        (Federation("https://oidc.other.example/", FEDERATION.subject), 60.0, 700213),
        (FEDERATION, -60.0, 700024),
    ],
)
def test_a_workload_that_is_not_the_federated_one_is_refused(
    azure: AzureStand, tmp_path: Path, federation: Federation, seconds: float, number: int
) -> None:
    file = tmp_path / "token"
    file.write_text(azure.control.assertion(federation, seconds))
    login_refused(workload(azure, str(file)), number)


def test_an_assertion_nobody_signed_is_refused(azure: AzureStand, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("eyJhbGciOiJub25lIn0.e30.")
    login_refused(workload(azure, str(file)), 50027)


def test_a_managed_identity_opens_the_operators_vault(
    azure: AzureStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = azure.client(managed(azure, monkeypatch), azure.info["azure_operator_vault_url"])
    key = azure.info["azure_operator_key"]
    assert azure.wrap(key, vault).status_code == 200
    (last,) = [c for c in azure.control.calls() if c.operation == "WrapKey"][-1:]
    assert last.caller == azure.info["azure_identity_client_id"]


def test_a_managed_identity_has_no_way_into_a_customers_vault(
    azure: AzureStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = azure.client(managed(azure, monkeypatch))
    assert "AKV10032" in refused(azure.wrap(client=vault), 401, "Unauthorized")


def test_a_managed_identity_may_speak_for_an_application_that_trusts_it(
    app: AzureStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a multi-tenant application without a secret."""
    identity = app.control.create_identity(app.info["azure_operator_tenant_id"])
    issuer = f"https://login.microsoftonline.com/{identity.tenant_id}/v2.0"
    source = managed(app, monkeypatch, identity.client_id)
    credential = ClientAssertionCredential(
        app.tenant,
        app.client_id,
        lambda: source.get_token(f"{EXCHANGE_AUDIENCE}/.default").token,
        **app.login,
    )
    app.closing(credential)
    login_refused(credential, 700213)
    app.control.federate(app.client_id, [Federation(issuer, identity.object_id)])
    credential.get_token(SCOPE)


@pytest.mark.parametrize(("header", "client"), [("guess", None), (None, "nobody")])
def test_the_identity_endpoint_refuses_strangers(
    azure: AzureStand, monkeypatch: pytest.MonkeyPatch, header: str | None, client: str | None
) -> None:
    credential = managed(azure, monkeypatch, client, header)
    with pytest.raises((ClientAuthenticationError, CredentialUnavailableError)):
        credential.get_token(SCOPE)


def test_an_identity_named_in_another_way_gets_no_token_of_the_default_one(
    azure: AzureStand,
) -> None:
    query = {"api-version": "2019-08-01", "resource": "https://vault.azure.net"}
    headers = {"X-IDENTITY-HEADER": azure.info["azure_identity_header"]}
    with httpx.Client(headers=headers, trust_env=False) as client:
        url = azure.info["azure_identity_endpoint"]
        assert client.get(url, params=query).status_code == 200
        for wrong in (
            {"principal_id": "x"},
            {"resource": "https://x.example"},
            {"api-version": "1"},
        ):
            assert client.get(url, params={**query, **wrong}).status_code == 400


def test_a_short_token_ends_and_the_sdk_fetches_another(azure: AzureStand) -> None:
    azure.control.set_token_lifetime(1)
    try:
        token = azure.secret_credential().get_token(SCOPE).token
        azure.wrapped()
        deadline = time.monotonic() + 20
        while "TokenExpired" not in vault_words(azure, token):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        azure.wrapped()
    finally:
        azure.control.set_token_lifetime(DEFAULT_LIFETIME_SECONDS)
    assert azure.control.count("Token", azure.tenant) == 3


def test_every_token_can_be_ended_at_once(azure: AzureStand) -> None:
    azure.wrapped()
    azure.control.expire_tokens()
    # The SDK has a token that it believes in: it is the vault that refuses.
    refused(azure.wrap(), 401, "Unauthorized")
    assert azure.wrap(client=azure.client()).status_code == 200


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"grant_type": "password"}, 70003),
        ({"scope": "https://vault.azure.net"}, 1002012),
        ({"scope": "https://vault.example.com/.default"}, 500011),
        ({"client_secret": ""}, 7000218),
    ],
)
def test_a_token_request_that_makes_no_sense_is_refused(
    azure: AzureStand, changes: dict[str, str], number: int
) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": azure.client_id,
        "client_secret": azure.info["azure_client_secret"],
        "scope": SCOPE,
        **changes,
    }
    url = f"{azure.info['azure_authority_url']}/{azure.tenant}/oauth2/v2.0/token"
    answer = httpx.post(url, data=form, verify=azure.trust, trust_env=False)
    assert answer.status_code in (400, 401)
    body = answer.json()
    assert body["error_codes"] == [number]
    assert body["error_description"].startswith(f"AADSTS{number}: ")


def vault_words(azure: AzureStand, token: str) -> str:
    return azure.raw("/keys/coffer?api-version=7.4", Authorization=f"Bearer {token}").text


def workload(azure: AzureStand, file: str) -> WorkloadIdentityCredential:
    credential = WorkloadIdentityCredential(
        tenant_id=azure.tenant, client_id=azure.client_id, token_file_path=file, **azure.login
    )
    azure.closing(credential)
    return credential


def managed(
    azure: AzureStand,
    monkeypatch: pytest.MonkeyPatch,
    client_id: str | None = None,
    header: str | None = None,
) -> ManagedIdentityCredential:
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.info["azure_identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", header or azure.info["azure_identity_header"])
    credential = ManagedIdentityCredential(
        client_id=client_id or azure.info["azure_identity_client_id"], retry_total=0
    )
    azure.closing(credential)
    return credential
