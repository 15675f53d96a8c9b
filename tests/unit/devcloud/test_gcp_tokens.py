"""Tokens: whose, until when, for what."""

from __future__ import annotations

import pytest

from devcloud.gcp.cloud import Cloud
from devcloud.gcp.errors import GoogleError
from devcloud.gcp.tokens import CLOUD_PLATFORM, Tokens
from devcloud.snapshots import InMemory

KMS = "cloudkms.googleapis.com"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(InMemory())


def refusal(tokens: Tokens, authorization: str | None, scope: str = CLOUD_PLATFORM) -> str:
    with pytest.raises(GoogleError) as caught:
        tokens.caller(authorization, KMS, (scope,))
    return caught.value.code.name


def test_a_token_speaks_for_its_account_until_it_ends(cloud: Cloud) -> None:
    tokens = Tokens(cloud)
    account = cloud.create_account("p", "a")
    token, _ = tokens.issue(account, (CLOUD_PLATFORM,), 60)
    assert tokens.caller(f"Bearer {token}", KMS, (CLOUD_PLATFORM,)).email == account.email
    assert refusal(tokens, f"Bearer {token}", "another") == "PERMISSION_DENIED"
    old, _ = tokens.issue(account, (CLOUD_PLATFORM,), 0)
    assert refusal(tokens, f"Bearer {old}") == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "header", [None, "", "Basic x", "Bearer", "Bearer ya29.c.\u00e9", "Bearer x"]
)
def test_what_is_no_token_is_refused_and_breaks_nothing(cloud: Cloud, header: str | None) -> None:
    assert refusal(Tokens(cloud), header) == "UNAUTHENTICATED"


def test_a_namesake_does_not_inherit_a_deleted_accounts_token(cloud: Cloud) -> None:
    tokens = Tokens(cloud)
    account = cloud.create_account("p", "a")
    token, _ = tokens.issue(account, (CLOUD_PLATFORM,), 60)
    cloud.delete_account(account.email)
    cloud.create_account("p", "a")
    assert refusal(tokens, f"Bearer {token}") == "UNAUTHENTICATED"


def test_another_stand_ins_token_is_nobodys(cloud: Cloud) -> None:
    stranger = Cloud(InMemory())
    token, _ = Tokens(stranger).issue(stranger.create_account("p", "a"), (CLOUD_PLATFORM,), 60)
    cloud.create_account("p", "a")
    assert refusal(Tokens(cloud), f"Bearer {token}") == "UNAUTHENTICATED"
