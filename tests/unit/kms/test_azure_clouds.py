"""Which hosts are Azure's, what a token for them is for, and what names a version of a key."""

from __future__ import annotations

import pytest

from services.kms.providers.azure.clouds import VaultKey, vault_key

VERSION = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("host", "authority", "resource"),
    [
        ("acme.vault.azure.net", "login.microsoftonline.com", "https://vault.azure.net"),
        ("acme.managedhsm.azure.net", "login.microsoftonline.com", "https://managedhsm.azure.net"),
        ("acme.vault.azure.cn", "login.chinacloudapi.cn", "https://vault.azure.cn"),
        (
            "acme.vault.usgovcloudapi.net",
            "login.microsoftonline.us",
            "https://vault.usgovcloudapi.net",
        ),
        (
            "acme.vault.microsoftazure.de",
            "login.microsoftonline.de",
            "https://vault.microsoftazure.de",
        ),
    ],
)
def test_each_cloud_has_its_own_login_and_resource(
    host: str, authority: str, resource: str
) -> None:
    key = vault_key(f"https://{host}/keys/k")
    assert key.cloud.authority == authority
    assert authority in key.cloud.authorities
    assert key.resource == resource


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.vault.azure.net/keys/k",
        "https://acme.vault.azure.net.evil.example/keys/k",
        "https://evil.example/acme.vault.azure.net/keys/k",
        "https://acme.vault.azure.net@evil.example/keys/k",
        "https://acme.vault.azure.net:8443/keys/k",
        "https://acme.vault.azure.net\\@evil.example/keys/k",
        "https://vault.azure.net/keys/k",
        "https://acme.vault.azure.net/keys/k/" + VERSION,
        "https://acme.vault.azure.net/keys/k?x=y",
        "https://acme.vault.azure.net/keys/k#x",
        "https://acme.vault.azure.net/secrets/k",
        "https://acme.vault.azure.net/keys/../secrets/k",
        "",
    ],
)
def test_what_is_no_key_of_a_known_cloud_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL"):
        vault_key(url)


def test_a_version_is_recognised_whatever_the_case_of_its_names() -> None:
    key = VaultKey("acme.vault.azure.net", "Coffer")
    told = key.identified(f"https://ACME.vault.azure.net/keys/coffer/{VERSION.upper()}")
    assert told is not None
    assert told.is_of(key)
    again = key.identified(told.url)
    assert again is not None
    assert again.is_same(told)


@pytest.mark.parametrize(
    "kid",
    [
        "",
        VERSION,
        "https://acme.vault.azure.net/keys/coffer",
        "https://acme.vault.azure.net/keys/coffer/",
        "https://acme.vault.azure.net/keys/coffer/latest",
        f"https://acme.vault.azure.net/keys/coffer/{VERSION}0",
        f"https://acme.vault.azure.net/keys/coffer/{VERSION}/",
        f"https://acme.vault.azure.net/keys/coffer/../{VERSION}",
        f"http://acme.vault.azure.net/keys/coffer/{VERSION}",
        f"https://other.vault.azure.net/keys/coffer/{VERSION}",
        f"https://acme.vault.azure.cn/keys/coffer/{VERSION}",
        f"https://evil.example/keys/coffer/{VERSION}",
    ],
)
def test_what_names_no_version_in_the_vault_is_none(kid: str) -> None:
    assert VaultKey("acme.vault.azure.net", "coffer").identified(kid) is None
