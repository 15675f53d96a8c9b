"""The vault as the real Key Vault client meets it: round trip, versions, challenge, bad requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm

from devcloud.azure.tokens import EXCHANGE_AUDIENCE
from devcloud.tls import Authority
from tests.integration.devcloud.azure_stand import (
    DATA_KEY,
    AzureStand,
    Rerouted,
    encoded,
    refused,
)

if TYPE_CHECKING:
    from pathlib import Path


class FixedToken:
    """A credential that was given its token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(self._token, 4_102_444_800)


def test_what_the_vault_wraps_it_unwraps_and_names_the_version(azure: AzureStand) -> None:
    wrapped = azure.wrapped()
    assert wrapped["kid"] == azure.control.key(azure.key).kid
    assert "=" not in wrapped["value"]
    assert azure.unwrap(wrapped).json() == {"kid": wrapped["kid"], "value": encoded(DATA_KEY)}
    assert azure.control.count("WrapKey", azure.key) == 1
    assert azure.control.count("UnwrapKey", azure.key) == 1
    assert azure.control.count("Challenge", azure.key) == 1


def test_the_sdk_wraps_locally_and_the_vault_unwraps(azure: AzureStand) -> None:
    kid = azure.control.key(azure.key).kid
    client = CryptographyClient(
        kid,
        azure.secret_credential(),
        transport=Rerouted(azure.info["azure_vault_endpoint_url"], azure.info["azure_ca_file"]),
    )
    azure.closing(client)
    wrapped = client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DATA_KEY)
    assert client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped.encrypted_key).key == DATA_KEY
    assert azure.control.count("WrapKey", azure.key) == 0
    assert azure.control.count("UnwrapKey", azure.key) == 1


def test_a_new_version_wraps_and_the_old_one_still_unwraps(azure: AzureStand) -> None:
    old = azure.wrapped()
    azure.control.rotate(azure.key)
    new = azure.wrapped()
    assert old["kid"] != new["kid"]
    assert azure.wrap(old["kid"]).json()["kid"] == old["kid"]
    for wrapped in (old, new):
        assert azure.unwrap(wrapped).json()["value"] == encoded(DATA_KEY)
    for kid in (new["kid"], azure.key):
        refused(azure.unwrap({**old, "kid": kid}), 400, "BadParameter")
    assert azure.vault.get_key("coffer").id == new["kid"]


def test_a_request_without_a_token_is_told_where_to_get_one(azure: AzureStand) -> None:
    answer = azure.raw("/keys/coffer?api-version=7.4")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer authorization="{azure.info["azure_authority_url"]}/{azure.tenant}", '
        'resource="https://vault.azure.net"'
    )
    assert answer.json()["error"]["code"] == "Unauthorized"


def test_a_managed_hsm_wants_tokens_of_its_own(azure: AzureStand) -> None:
    customer = azure.control.create_customer(managed_hsm=True)
    credential = azure.secret_credential(tenant_id=customer.tenant_id)
    hsm = azure.client(credential, customer.vault_url)
    wrapped = azure.wrap(customer.key, hsm).json()
    assert wrapped["kid"].startswith(f"{customer.key}/")
    assert ".managedhsm.azure.net/" in wrapped["kid"]
    assert hsm.get_key("coffer").key_type == "RSA-HSM"
    token = credential.get_token("https://vault.azure.net/.default").token
    text = refused(
        azure.wrap(customer.key, with_token(azure, token, customer.vault_url)), 401, "Unauthorized"
    )
    assert "AKV10022" in text


@pytest.mark.parametrize(
    ("tenant", "scope", "number"),
    [
        ("azure_operator_tenant_id", "https://vault.azure.net", "AKV10032"),
        ("azure_tenant_id", "https://management.azure.com", "AKV10022"),
        ("azure_tenant_id", EXCHANGE_AUDIENCE, "AKV10022"),
    ],
)
def test_a_token_for_elsewhere_is_refused(
    azure: AzureStand, tenant: str, scope: str, number: str
) -> None:
    credential = azure.secret_credential(tenant_id=azure.info[tenant])
    token = credential.get_token(f"{scope}/.default").token
    text = refused(azure.wrap(client=with_token(azure, token)), 401, "Unauthorized")
    assert text.startswith(number)
    assert azure.control.count("WrapKey", azure.key) == 1


def test_an_invented_token_is_refused(azure: AzureStand) -> None:
    refused(azure.wrap(client=with_token(azure, "eyJhbGciOiJub25lIn0.e30.")), 401, "Unauthorized")


def test_the_sdk_sends_no_token_to_a_vault_that_names_a_foreign_resource(azure: AzureStand) -> None:
    azure.control.mislead(azure.vault_host, resource="https://vault.evil.example")
    with pytest.raises(ValueError, match="does not match the requested domain"):
        azure.vault.get_key("coffer")
    assert azure.control.count("GetKey", azure.key) == 0
    azure.control.mislead(azure.vault_host)
    azure.wrapped()


def test_a_vault_can_name_a_foreign_authority(azure: AzureStand) -> None:
    azure.control.mislead(azure.vault_host, authority="https://login.evil.example")
    azure.wrapped()  # The SDK asks its own authority all the same.
    answer = azure.raw("/keys/coffer")
    assert 'authorization="https://login.evil.example/' in answer.headers["www-authenticate"]


def test_a_request_that_makes_no_sense_is_a_bad_parameter(azure: AzureStand) -> None:
    good = {"alg": "RSA-OAEP-256", "value": "AAAA"}
    requests: list[tuple[str, Any, dict[str, str] | None]] = [
        ("wrapkey", good, {"api-version": ""}),
        ("wrapkey", good, {"api-version": "1999-01-01"}),
        ("wrapkey", {**good, "value": "AAA="}, None),
        ("wrapkey", {**good, "value": "A+/A"}, None),
        ("wrapkey", {**good, "value": ""}, None),
        ("wrapkey", {**good, "value": encoded(bytes(300))}, None),
        ("wrapkey", {**good, "alg": "A256KW"}, None),
        ("wrapkey", ["RSA-OAEP-256"], None),
        ("unwrapkey", {**good, "value": encoded(bytes(256))}, None),
    ]
    for operation, body, params in requests:
        refused(azure.post(f"{azure.key}/{operation}", body, params=params), 400, "BadParameter")


def test_the_wrong_algorithm_does_not_unwrap(azure: AzureStand) -> None:
    wrapped = azure.wrapped()
    body = {"alg": "RSA-OAEP", "value": wrapped["value"]}
    refused(azure.post(f"{wrapped['kid']}/unwrapkey", body), 400, "BadParameter")


def test_a_vault_that_is_not_there_gives_no_answer(azure: AzureStand) -> None:
    nowhere = azure.client(url="https://kv-nowhere.vault.azure.net")
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        nowhere.get_key("coffer")
    azure.control.set_gone(azure.vault_host, gone=True)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        azure.wrap()
    azure.control.set_gone(azure.vault_host, gone=False)
    azure.wrapped()


def test_a_client_that_trusts_another_ca_gets_no_connection(
    azure: AzureStand, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    other.open()
    stranger = AzureStand({**azure.info, "azure_ca_file": str(other.ca_file)}, azure.control)
    with pytest.raises(ServiceRequestError):
        stranger.client(azure.secret_credential()).get_key("coffer")
    stranger.close()
    azure.wrapped()


def test_a_missing_version_may_leave_its_slashes(azure: AzureStand) -> None:
    body = {"alg": "RSA-OAEP-256", "value": encoded(DATA_KEY)}
    assert azure.post(f"{azure.key}//wrapkey", body).status_code == 200
    with pytest.raises(HttpResponseError) as caught:
        azure.vault.get_key("coffer", "0" * 32)
    assert caught.value.status_code == 404


def with_token(azure: AzureStand, token: str, url: str | None = None) -> Any:
    return azure.client(FixedToken(token), url)
