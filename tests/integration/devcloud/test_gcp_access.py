"""Who may do what: permissions, tokens and their end, impersonation, the ambient identity."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

import google.auth
import google.auth.compute_engine._metadata
import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request

from devcloud.gcp.model import GET_KEY, USE_TO_DECRYPT, USE_TO_ENCRYPT
from tests.integration.devcloud.gcp_stand import AAD, code, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.devcloud.gcp_stand import GcpStand


def reason(error: GoogleAPICallError) -> str:
    return str(error.details[0].reason)


def await_refusal(call: Callable[[], object]) -> GoogleAPICallError:
    """Call until it is refused."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            call()
        except GoogleAPICallError as error:
            return error
    raise AssertionError("never refused")


def body(error: RefreshError) -> dict[str, Any]:
    """The JSON that google-auth hands on as it came."""
    content: dict[str, Any] = json.loads(error.args[1])["error"]
    return content


@pytest.mark.parametrize(
    ("permission", "use"),
    [
        (USE_TO_ENCRYPT, lambda gcp, client, _: gcp.encrypt(client)),
        (USE_TO_DECRYPT, lambda gcp, client, sealed: gcp.decrypt(client, sealed)),
        (GET_KEY, lambda gcp, client, _: client.get_crypto_key(name=gcp.key, retry=None)),
    ],
)
def test_exactly_the_denied_permission_is_missing(
    gcp: GcpStand, permission: str, use: Callable[[Any, Any, bytes], object]
) -> None:
    client = gcp.kms()
    sealed = gcp.encrypt(client).ciphertext
    others = {USE_TO_ENCRYPT, USE_TO_DECRYPT, GET_KEY} - {permission}
    gcp.control.deny(gcp.key, gcp.account, [permission])
    error = refused(lambda: use(gcp, client, sealed))
    assert code(error) == "PERMISSION_DENIED"
    assert error.message == (
        f"Permission '{permission}' denied on resource '{gcp.key}' (or it may not exist)."
    )
    assert reason(error) == "IAM_PERMISSION_DENIED"
    assert error.details[0].metadata["permission"] == permission
    gcp.control.deny(gcp.key, gcp.account, others)
    use(gcp, client, sealed)
    gcp.control.grant(gcp.key, gcp.account, [])
    assert code(refused(lambda: use(gcp, client, sealed))) == "PERMISSION_DENIED"


def test_the_operator_may_use_its_own_key_and_no_customers(gcp: GcpStand) -> None:
    client = gcp.kms(gcp.ambient_token())
    gcp.encrypt(client, name=gcp.info["gcp_operator_key"])
    assert code(refused(lambda: gcp.encrypt(client))) == "PERMISSION_DENIED"


@pytest.mark.parametrize("token", ["ya29.c.nonsense", "ya29.c.", "x"])
def test_a_token_of_nobody_is_refused(gcp: GcpStand, token: str) -> None:
    error = refused(lambda: gcp.encrypt(gcp.kms(token)))
    assert code(error) == "UNAUTHENTICATED"
    assert "Expected OAuth 2 access token" in error.message


def test_a_token_that_has_run_out_is_refused(gcp: GcpStand) -> None:
    gcp.control.set_token_lifetime(0.05)
    try:
        client = gcp.kms()
    finally:
        gcp.control.set_token_lifetime(None)
    error = await_refusal(lambda: gcp.encrypt(client))
    assert code(error) == "UNAUTHENTICATED"
    assert reason(error) == "ACCESS_TOKEN_EXPIRED"


def test_expired_tokens_of_one_account_hit_no_other(gcp: GcpStand) -> None:
    other = gcp.control.create_customer()
    mine, others = gcp.kms(), gcp.kms(gcp.token(other.service_account))
    gcp.control.expire_tokens(gcp.account)
    error = refused(lambda: gcp.encrypt(mine))
    assert (code(error), reason(error)) == ("UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED")
    gcp.encrypt(others, name=other.key)
    gcp.encrypt(gcp.kms())


def test_a_token_of_other_scopes_is_refused(gcp: GcpStand) -> None:
    token = gcp.ambient_token(scopes="https://www.googleapis.com/auth/devstorage.read_only")
    error = refused(lambda: gcp.encrypt(gcp.kms(token), name=gcp.info["gcp_operator_key"]))
    assert (code(error), reason(error)) == (
        "PERMISSION_DENIED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    )


def test_a_deleted_accounts_tokens_are_worthless(gcp: GcpStand) -> None:
    client = gcp.kms()
    gcp.control.delete_service_account(gcp.account)
    assert code(refused(lambda: gcp.encrypt(client))) == "UNAUTHENTICATED"


def test_impersonation_needs_the_grant_and_tokens_outlive_its_end(gcp: GcpStand) -> None:
    client = gcp.kms()
    gcp.control.revoke_impersonation(gcp.account, gcp.operator)
    with pytest.raises(RefreshError) as caught:
        gcp.impersonate()
    error = body(caught.value)
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    assert error["message"] == (
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
    )
    assert error["details"][0]["reason"] == "IAM_PERMISSION_DENIED"
    gcp.encrypt(client)
    gcp.control.allow_impersonation(gcp.account, gcp.operator)
    gcp.impersonate()


def test_one_customers_account_cannot_act_as_anothers(gcp: GcpStand) -> None:
    other = gcp.control.create_customer()
    broad = gcp.control.create_service_account("coffer-operator", "other")
    with pytest.raises(RefreshError):
        gcp.impersonate(other.service_account, source=gcp.token())
    with pytest.raises(RefreshError):
        gcp.impersonate(broad)


def test_an_unknown_account_is_not_found(gcp: GcpStand) -> None:
    with pytest.raises(RefreshError) as caught:
        gcp.impersonate("nobody@nowhere.iam.gserviceaccount.com")
    error = body(caught.value)
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert "Gaia id not found" in error["message"]


def test_an_expired_source_token_is_told_apart_from_a_missing_grant(gcp: GcpStand) -> None:
    source = gcp.ambient_token()
    gcp.control.expire_tokens(gcp.operator)
    with pytest.raises(RefreshError) as caught:
        gcp.impersonate(source=source)
    assert body(caught.value)["code"] == 401


def test_a_token_lives_as_long_as_was_asked_for_and_no_longer_than_an_hour(gcp: GcpStand) -> None:
    # google-auth gives naive UTC.
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    left = gcp.impersonate(lifetime=600).expiry - now
    assert dt.timedelta(seconds=500) < left <= dt.timedelta(seconds=601)
    for seconds in (-1, 3601):
        with pytest.raises(RefreshError) as caught:
            gcp.impersonate(lifetime=seconds)
        assert body(caught.value)["status"] == "INVALID_ARGUMENT"


def test_ambient_credentials_are_found_as_on_a_machine_of_google(
    gcp: GcpStand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = gcp.info["gcp_metadata_host"]
    # Read when the module is imported; a process of its own would set GCE_METADATA_HOST.
    monkeypatch.setattr(google.auth.compute_engine._metadata, "_GCE_METADATA_HOST", host)
    monkeypatch.setenv("GCE_METADATA_IP", host)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    find: Any = google.auth.default
    credentials, project = find(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    assert project == gcp.info["gcp_operator_project"]
    credentials.refresh(Request(gcp.session()))
    assert credentials.service_account_email == gcp.operator
    assert credentials.universe_domain == "googleapis.com"
    gcp.encrypt(gcp.kms(credentials.token), name=gcp.info["gcp_operator_key"], aad=AAD)


def test_metadata_is_told_only_to_those_who_say_they_mean_it(gcp: GcpStand) -> None:
    url = f"http://{gcp.info['gcp_metadata_host']}/computeMetadata/v1/project/project-id"
    session = gcp.session()
    assert session.get(url, timeout=10).status_code == 403
    flavor = {"Metadata-Flavor": "Google"}
    forwarded = flavor | {"X-Forwarded-For": "10.0.0.1"}
    assert session.get(url, headers=forwarded, timeout=10).status_code == 403
    answer = session.get(url, headers=flavor, timeout=10)
    assert answer.headers["Metadata-Flavor"] == "Google"
    assert answer.text == "coffer-operator"
