"""Every state of a key and every permission, as the vault tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from devcloud.azure.model import GET, UNWRAP, WRAP, AccessModel
from devcloud.control_client import ControlError
from tests.integration.devcloud.azure_stand import DATA_KEY, AzureStand, encoded, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.azure.control import AzureControl


def test_a_disabled_key_neither_wraps_nor_unwraps_and_comes_back(azure: AzureStand) -> None:
    wrapped = azure.wrapped()
    azure.control.disable(azure.key)
    text = refused(azure.wrap(), 403, "Forbidden", "KeyDisabled")
    assert text == "Operation wrapKey is not allowed on a disabled key."
    refused(azure.unwrap(wrapped), 403, "Forbidden", "KeyDisabled")
    assert azure.vault.get_key("coffer").properties.enabled is False
    azure.control.enable(azure.key)
    assert azure.unwrap(wrapped).json()["value"] == encoded(DATA_KEY)


def test_one_disabled_version_does_not_stop_the_others(azure: AzureStand) -> None:
    old = azure.wrapped()
    azure.control.rotate(azure.key)
    new = azure.wrapped()
    azure.control.disable(azure.key, old["kid"].rpartition("/")[2])
    refused(azure.unwrap(old), 403, "Forbidden", "KeyDisabled")
    assert azure.unwrap(new).status_code == 200
    azure.wrapped()


@pytest.mark.parametrize("end", ["delete", "purge"])
def test_a_deleted_key_is_not_found_until_it_is_recovered(azure: AzureStand, end: str) -> None:
    wrapped = azure.wrapped()
    getattr(azure.control, end)(azure.key)
    refused(azure.wrap(), 404, "KeyNotFound")
    refused(azure.unwrap(wrapped), 404, "KeyNotFound")
    with pytest.raises(ResourceNotFoundError):
        azure.vault.get_key("coffer")
    azure.control.recover(azure.key)
    assert azure.unwrap(wrapped).status_code == 200


@pytest.mark.parametrize(
    ("put", "inner"),
    [
        (lambda control, key: control.expire(key), "KeyExpired"),
        (lambda control, key: control.postpone(key), "KeyNotYetValid"),
    ],
    ids=["expired", "not yet valid"],
)
def test_a_key_outside_its_window_still_unwraps(
    azure: AzureStand, put: Callable[[AzureControl, str], object], inner: str
) -> None:
    wrapped = azure.wrapped()
    put(azure.control, azure.key)
    refused(azure.wrap(), 403, "Forbidden", inner)
    assert azure.unwrap(wrapped).status_code == 200
    azure.control.set_window(azure.key, not_before=None, expires=None)
    azure.wrapped()


def test_a_key_that_is_not_for_wrapping_refuses(azure: AzureStand) -> None:
    wrapped = azure.wrapped()
    azure.control.set_key_ops(azure.key, ["unwrapKey", "sign"])
    refused(azure.wrap(), 403, "Forbidden", "KeyOperationForbidden")
    assert azure.unwrap(wrapped).status_code == 200
    azure.control.set_key_ops(azure.key, ["wrapKey"])
    refused(azure.unwrap(wrapped), 403, "Forbidden", "KeyOperationForbidden")


def test_an_elliptic_key_cannot_wrap(azure: AzureStand) -> None:
    usual = azure.control.create_key(azure.vault_host, "ec", kty="EC")
    refused(azure.wrap(usual.url), 403, "Forbidden", "KeyOperationForbidden")
    assert azure.vault.get_key("ec").key_type == "EC"
    # Even one whose key_ops were meant for it.
    wrong = azure.control.create_key(azure.vault_host, "ec2", kty="EC-HSM", key_ops=["wrapKey"])
    text = refused(azure.wrap(wrong.url), 400, "BadParameter")
    assert "can only be used with a key of type 'RSA' or 'RSA-HSM'" in text


def test_a_large_key_wraps_too(azure: AzureStand) -> None:
    key = azure.control.create_key(azure.vault_host, "large", bits=3072)
    wrapped = azure.wrap(key.url).json()
    assert len(wrapped["value"]) == 512
    assert azure.unwrap(wrapped).json()["value"] == encoded(DATA_KEY)


@pytest.mark.parametrize(
    ("access", "inner", "words"),
    [
        (AccessModel.RBAC, "ForbiddenByRbac", "Microsoft.KeyVault/vaults/keys/{}/action"),
        (AccessModel.POLICY, "ForbiddenByPolicy", "does not have keys {}Key permission"),
    ],
)
def test_each_permission_stops_its_own_operation(
    azure: AzureStand, access: AccessModel, inner: str, words: str
) -> None:
    wrapped = azure.wrapped()
    azure.control.set_access_model(azure.vault_host, access)
    azure.control.grant(azure.client_id, vault=azure.vault_host, permissions=[UNWRAP])
    text = refused(azure.wrap(), 403, "Forbidden", inner)
    assert words.format("wrap") in text
    # A product that passes the text on would show tenants and object ids.
    assert azure.client_id in text
    assert azure.tenant in text
    assert azure.unwrap(wrapped).status_code == 200
    azure.control.grant(azure.client_id, vault=azure.vault_host, permissions=[WRAP])
    assert words.format("unwrap") in refused(azure.unwrap(wrapped), 403, "Forbidden", inner)
    azure.wrapped()
    with pytest.raises(HttpResponseError) as caught:
        azure.vault.get_key("coffer")
    assert caught.value.status_code == 403
    azure.control.grant(azure.client_id, vault=azure.vault_host, permissions=[GET])
    azure.vault.get_key("coffer")


def test_a_key_can_be_opened_or_shut_by_itself(azure: AzureStand) -> None:
    azure.control.deny(azure.key, [WRAP])
    refused(azure.wrap(), 403, "Forbidden", "ForbiddenByRbac")
    azure.control.allow(azure.key)
    azure.control.deny(azure.key, [WRAP], azure.client_id)
    refused(azure.wrap(), 403, "Forbidden", "ForbiddenByRbac")
    azure.control.allow(azure.key, azure.client_id)
    azure.wrapped()
    azure.control.grant(azure.client_id, vault=azure.vault_host, permissions=[])
    refused(azure.wrap(), 403, "Forbidden", "ForbiddenByRbac")
    azure.control.grant(azure.client_id, key=azure.key, permissions=[WRAP])
    azure.wrapped()


def test_who_may_nothing_does_not_learn_which_keys_there_are(azure: AzureStand) -> None:
    azure.control.grant(azure.client_id, vault=azure.vault_host, permissions=[])
    nowhere = f"https://{azure.vault_host}/keys/none"
    refused(azure.wrap(nowhere), 403, "Forbidden", "ForbiddenByRbac")
    azure.control.grant(azure.client_id, vault=azure.vault_host)
    refused(azure.wrap(nowhere), 404, "KeyNotFound")


def test_a_firewall_refuses_everyone(azure: AzureStand) -> None:
    azure.control.set_firewall(azure.vault_host, up=True)
    refused(azure.wrap(), 403, "Forbidden", "ForbiddenByFirewall")
    azure.control.set_firewall(azure.vault_host, up=False)
    azure.wrapped()


def test_another_customers_vault_stays_shut(azure: AzureStand) -> None:
    other = azure.control.create_customer()
    credential = azure.secret_credential(tenant_id=other.tenant_id)
    azure.wrap(other.key, azure.client(credential, other.vault_url))
    token = credential.get_token("https://vault.azure.net/.default")
    assert azure.control.app(azure.client_id).tenants.count(other.tenant_id) == 1
    assert token.token not in repr(azure.control.calls())


def test_control_refuses_what_does_not_exist(azure: AzureStand) -> None:
    for call in (
        lambda: azure.control.disable(azure.key + "x"),
        lambda: azure.control.disable(azure.key, "0" * 32),
        lambda: azure.control.key("none"),
        lambda: azure.control.rotate_secret("none"),
        lambda: azure.control.create_key(azure.vault_host, "coffer"),
        lambda: azure.control.create_key(azure.vault_host, "weak", bits=1024),
        lambda: azure.control.create_vault("kv.example.com", azure.tenant),
        lambda: azure.control.set_firewall("none.vault.azure.net", up=True),
    ):
        with pytest.raises(ControlError):
            call()
