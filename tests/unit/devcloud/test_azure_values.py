from __future__ import annotations

import pytest

from devcloud.azure.cloud import Cloud
from devcloud.azure.key_operations import decoded, encoded
from devcloud.azure.model import App, Caller, Vault
from devcloud.azure.seed import FEDERATION
from devcloud.azure.tokens import TokenRefusedError, Tokens
from devcloud.snapshots import InMemory

AUDIENCE = "https://vault.azure.net"
CALLER = Caller("client", "object", "tenant")


@pytest.mark.parametrize("size", range(6))
def test_base64url_goes_there_and_back_without_padding(size: int) -> None:
    raw = bytes(range(250, 250 + size))
    assert "=" not in encoded(raw)
    assert decoded(encoded(raw)) == raw


@pytest.mark.parametrize("text", ["AA==", "AA=", "A", "A+AA", "A/AA", "AA AA", "ÄÄÄÄ", "AAAA\n"])
def test_what_is_not_unpadded_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not base64url"):
        decoded(text)


@pytest.mark.parametrize(
    ("host", "resource"),
    [
        ("kv-1.vault.azure.net", "https://vault.azure.net"),
        ("hsm-1.managedhsm.azure.net", "https://managedhsm.azure.net"),
        ("kv-1.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"),
        ("kv-1.vault.azure.cn", "https://vault.azure.cn"),
    ],
)
def test_a_vaults_resource_is_that_of_its_cloud(host: str, resource: str) -> None:
    assert Vault(host, "tenant").resource == resource


@pytest.mark.parametrize("host", ["vault.azure.net", "kv.evil.example", "a.b.vault.azure.net", ""])
def test_no_vault_can_have_a_host_of_no_cloud(host: str) -> None:
    with pytest.raises(ValueError, match="no vault"):
        Cloud(InMemory()).create_vault(host, tenant_id="tenant")


def test_a_token_is_good_only_where_it_was_made_and_for_what() -> None:
    tokens, others = Tokens(Cloud(InMemory())), Tokens(Cloud(InMemory()))
    token = tokens.issue(CALLER, AUDIENCE).token
    assert tokens.read(token, audience=AUDIENCE, tenant_id="tenant") == CALLER
    for reader, audience, tenant in (
        (others, AUDIENCE, "tenant"),
        (tokens, "https://managedhsm.azure.net", "tenant"),
        (tokens, AUDIENCE, "other"),
    ):
        with pytest.raises(TokenRefusedError):
            reader.read(token, audience=audience, tenant_id=tenant)


def test_an_assertion_names_whom_it_speaks_for() -> None:
    tokens = Tokens(Cloud(InMemory()))
    assert tokens.federation(tokens.assertion(FEDERATION, seconds=60)) == FEDERATION


def test_repr_shows_no_secret() -> None:
    app = App("client", "tenant", ("s3cret",), {})
    assert "s3cret" not in repr(app)
