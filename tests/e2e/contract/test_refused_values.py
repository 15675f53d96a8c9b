"""What breaks when a well-formed request says what is refused: credentials, wrong types, later stages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.contract import wire
from tests.e2e.contract.certificates import FRESH, self_signed

if TYPE_CHECKING:
    from devcloud.aws.seed import Customer
    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

ONBOARD = "/admin/tenant-kms"
VERIFY = "/admin/tenant-kms/verify"
CANARY = "canary-Zm9yZ2V0LW1l-7f3a"
NAMES = (
    "access_key",
    "access_key_id",
    "aws_access_key_id",
    "secret_access_key",
    "aws_secret_access_key",
    "session_token",
    "aws_session_token",
    "service_account_json",
    "service_account_key",
    "credentials_json",
    "private_key",
    "client_secret",
    "connection_string",
    "password",
)
SPELLINGS = (
    str,
    str.upper,
    lambda name: name.replace("_", "-"),
    lambda name: name.replace("_", ""),
    lambda name: "".join(part.capitalize() for part in name.split("_")),
)
SERVICE_ACCOUNT = json.dumps(
    {"type": "service_account", "project_id": "p", "private_key": CANARY, "client_email": "a@b"}
)
RECOGNISABLE = {
    "access key id": "AKIAIOSFODNN7EXAMPLE",
    "temporary access key id": "ASIAIOSFODNN7EXAMPLE",
    "access key id in a text": "key AKIAIOSFODNN7EXAMPLE of mine",
    "service account": SERVICE_ACCOUNT,
    "PKCS#8": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n",
    "PKCS#1": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----\n",
}
GCP_KEY = "projects/acme-prod/locations/europe-west1/keyRings/coffer/cryptoKeys/master"
GCP = {
    "provider": "gcp",
    "kms_key_ref": GCP_KEY,
    "config": {"impersonate_service_account": "coffer@acme-prod.iam.gserviceaccount.com"},
}
AZURE = {
    "provider": "azure",
    "kms_key_ref": "https://acme.vault.azure.net/keys/master",
    "config": {"vault_url": "https://acme.vault.azure.net"},
}


@pytest.fixture(scope="module")
def anybody(stack: RunningStack) -> TenantUser:
    """One tenant for requests that change nothing."""
    return stack.tenant()


@pytest.fixture(scope="module")
def customer(anybody: TenantUser) -> Customer:
    """Its cloud, which nobody may call for it."""
    return anybody.customer()


def assert_refused(
    user: TenantUser, body: Any, field: str, paths: tuple[str, ...] = (ONBOARD, VERIFY)
) -> None:
    """The body is refused for the credential in `field`, whatever else is wrong with it."""
    for path in paths:
        answer = user.call("POST", path, json=body)
        error = wire.error_of(answer, 400, "static_credentials_rejected")
        assert field in error["fields"], error
        assert field in error["message"], error
        assert CANARY not in answer.text
        assert "EXAMPLE" not in answer.text


def assert_not_called(user: TenantUser, customer: Customer) -> None:
    """Nothing was asked of the customer's cloud."""
    count = user.stack.cloud.count
    arns = (customer.key_arn, customer.alias_arn, customer.role_arn)
    assert [count(resource=arn) for arn in arns] == [0, 0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_a_credential_is_refused_by_its_name_at_any_depth(
    anybody: TenantUser, customer: Customer, name: str
) -> None:
    good = anybody.onboarding(customer)
    assert_refused(anybody, {name: CANARY}, name, (VERIFY,))
    for spell in SPELLINGS:
        spelt = spell(name)
        # Also when it is no text, and when there is hardly a body around it.
        inside = good["config"] | {spelt: CANARY}
        for body, field in (
            ({spelt: CANARY}, spelt),
            (good | {spelt: None}, spelt),
            (good | {"config": inside}, f"config.{spelt}"),
            (
                {"provider": 5, "config": {"x": [1, {"y": [{spelt: {"z": 1}}]}]}},
                f"config.x[1].y[0].{spelt}",
            ),
        ):
            assert_refused(anybody, body, field, (ONBOARD,))
    assert_not_called(anybody, customer)


@pytest.mark.parametrize("value", RECOGNISABLE.values(), ids=RECOGNISABLE)
def test_a_credential_is_refused_by_its_looks_in_any_field(
    anybody: TenantUser, customer: Customer, value: str
) -> None:
    good = anybody.onboarding(customer)
    for field in ("provider", "kms_key_ref", "config", "note"):
        assert_refused(anybody, good | {field: value}, field)
    for field in (*good["config"], "note"):
        spoilt = good["config"] | {field: value}
        assert_refused(anybody, good | {"config": spoilt}, f"config.{field}")
    assert_refused(anybody, {"config": {"list": ["x", [value]]}}, "config.list[1][0]")
    assert_not_called(anybody, customer)


def test_a_service_account_as_an_object_is_refused(anybody: TenantUser, customer: Customer) -> None:
    good = anybody.onboarding(customer)
    account = {"type": "service_account", "project_id": "acme"}
    assert_refused(anybody, good | {"config": account}, "config")
    assert_refused(anybody, {"config": {"account": account}}, "config.account")
    assert_not_called(anybody, customer)


def test_an_azure_secret_in_place_of_its_variables_name_is_refused(anybody: TenantUser) -> None:
    secret = "aB38Q~" + "x1Y2z3W4v5U6t7S8r9Q0p1O2n3M4l5K6j7"
    config = AZURE["config"] | {"client_secret_env_var": secret}  # type: ignore[operator]
    body = AZURE | {"config": config}
    assert_refused(anybody, body, "config.client_secret_env_var")
    assert secret not in anybody.call("POST", ONBOARD, json=body).text
    config["client_secret_env_var"] = "PATH"
    answer = anybody.call("POST", ONBOARD, json=body)
    error = wire.error_of(answer, 400, "validation_error")
    assert list(error["fields"]) == ["config.client_secret_env_var"]


def test_a_refused_credential_leaves_no_trace(tenant: TenantUser) -> None:
    before = tenant.stack.rows("select count(*) from audit.event where tenant_id = %s", [tenant.id])
    assert_refused(tenant, {"password": CANARY}, "password")
    query = "select count(*) from audit.event where tenant_id = %s"
    assert tenant.stack.rows(query, [tenant.id]) == before
    wire.error_of(tenant.call("GET", ONBOARD), 404, "no_kms_config")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"provider": "ibm"}, {"provider"}),
        ({"provider": 5}, {"provider"}),
        ({"provider": "AWS"}, {"provider"}),
        ({"kms_key_ref": ["x"]}, {"kms_key_ref"}),
        ({"kms_key_ref": "alias/coffer"}, {"kms_key_ref"}),
        ({"config": "x"}, {"config"}),
        ({"config": []}, {"config"}),
        ({"config": {}}, {"config.region", "config.role_arn"}),
        ({"config": {"region": 5, "role_arn": True}}, {"config.region", "config.role_arn"}),
        ({"conifg": {}}, {"conifg"}),
        ({"provider": None, "kms_key_ref": None}, {"provider", "kms_key_ref"}),
    ],
)
def test_every_fault_of_an_onboarding_is_named_at_once(
    anybody: TenantUser, customer: Customer, change: dict[str, Any], fields: set[str]
) -> None:
    answer = anybody.call("POST", ONBOARD, json=anybody.onboarding(customer) | change)
    error = wire.error_of(answer, 400, "validation_error")
    assert error["fields"].keys() == fields
    assert_not_called(anybody, customer)


def test_the_operators_own_account_and_other_tenants_ids_are_refused(
    anybody: TenantUser, customer: Customer
) -> None:
    good = anybody.onboarding(customer)
    elsewhere = good["config"] | {"region": "us-east-1"}
    answer = anybody.call("POST", ONBOARD, json=good | {"config": elsewhere})
    assert list(wire.error_of(answer, 400, "validation_error")["fields"]) == ["config.region"]
    issued = good["config"] | {"external_id": "coffer-00000000-0000-4000-8000-000000000000"}
    answer = anybody.call("POST", ONBOARD, json=good | {"config": issued})
    error = wire.error_of(answer, 400, "validation_error")
    assert list(error["fields"]) == ["config.external_id"]
    assert_not_called(anybody, customer)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "é"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"value": 5}, "value"),
        ({"value": ["x"]}, "value"),
        ({"value": {"x": 1}}, "value"),
        ({"value": True}, "value"),
        ({"value": None}, "value"),
        ({"value": ""}, "value"),
        ({"value": "x" * (64 * 1024 + 1)}, "value"),
        ({"value": "é" * (32 * 1024 + 1)}, "value"),
        ({"description": []}, "description"),
        ({"environment": 1}, "environment"),
        ({"environment": "nowhere"}, "environment"),
        ({"collection_id": "x"}, "collection_id"),
        ({"collection_id": "00000000-0000-4000-8000-000000000000"}, "collection_id"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": 4_070_908_800}, "expires_at"),
        ({"strict_expiry_enforcement": "true"}, "strict_expiry_enforcement"),
        ({"strict_expiry_enforcement": 1}, "strict_expiry_enforcement"),
        ({"secret_type": "sting"}, "secret_type"),
        ({"secret_type": 1}, "secret_type"),
        ({"shortcode_name": "x"}, "shortcode_name"),
        ({"strictExpiryEnforcement": True}, "strictExpiryEnforcement"),
        ({"passphrse": "x"}, "passphrse"),
    ],
)
def test_a_wrong_field_of_a_secret_is_named(
    anybody: TenantUser, change: dict[str, Any], field: str
) -> None:
    body = {"name": "x", "value": CANARY} | change
    answer = anybody.call("POST", "/v1/secrets", json=body)
    error = wire.error_of(answer, 400, "validation_error")
    assert list(error["fields"]) == [field]
    assert CANARY not in answer.text


def test_what_comes_with_a_later_version_is_named(anybody: TenantUser) -> None:
    answer = anybody.call("POST", "/v1/secrets", json={"name": "x", "secret_type": "oauth2"})
    wire.error_of(answer, 400, "unsupported_type")


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"certificate_content": 5}, "certificate_content", None),
        ({"certificate_content": None}, "certificate_content", "empty"),
        ({"certificate_content": ""}, "certificate_content", "empty"),
        ({"certificate_content": " \n"}, "certificate_content", "empty"),
        ({"certificate_content": "nonsense"}, "certificate_content", "not_this_format"),
        ({"private_key": "other"}, "private_key", "key_mismatch"),
        ({"private_key": CANARY}, "private_key", "invalid_private_key"),
        ({"private_key": ""}, "private_key", "empty"),
        ({"certificate_type": 5}, "certificate_type", None),
        ({"value": "x"}, "value", None),
    ],
)
def test_a_wrong_field_of_a_certificate_is_named(
    anybody: TenantUser, change: dict[str, Any], field: str, reason: str | None
) -> None:
    made = self_signed(FRESH)
    if change.get("private_key") == "other":
        change = {"private_key": self_signed(FRESH).private_key}
    body = {"name": "x", "certificate_content": made.pem, "private_key": made.private_key} | change
    answer = anybody.call("POST", "/v1/secrets/certificate", json=body)
    error = wire.error_of(answer, 400, "validation_error")
    assert list(error.get("fields", [])) == [field]
    assert error.get("reason") == reason
    assert CANARY not in answer.text
    assert made.private_key.splitlines()[1] not in answer.text
