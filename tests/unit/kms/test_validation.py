"""The body of POST /admin/tenant-kms: what is refused, where, and what is said about it."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import CofferError, StaticCredentialsRejectedError, ValidationError
from services.kms.validation import CONFIG_FIELDS, Rules, parse, parse_operator
from tests.fakes.kms_bodies import KEY_ID, OTHER, RULES, TENANT, accepted, aws, azure, faults, gcp


def test_a_good_aws_body_is_taken_with_every_field_of_its_config() -> None:
    target = accepted(aws())
    assert target.provider == "aws"
    assert dict(target.config) == {
        "region": "eu-central-1",
        "role_arn": "arn:aws:iam::444455556666:role/coffer",
        "external_id": None,
    }


@pytest.mark.parametrize(
    ("key_ref", "region"),
    [
        (
            "arn:aws:kms:us-east-1:444455556666:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            "us-east-1",
        ),
        ("arn:aws:kms:eu-central-1:444455556666:alias/team/prod_1", "eu-central-1"),
        ("arn:aws-cn:kms:cn-north-1:444455556666:key/x", "cn-north-1"),
        ("arn:aws-us-gov:kms:us-gov-west-1:444455556666:alias/a", "us-gov-west-1"),
        ("arn:aws-iso:kms:us-iso-east-1:444455556666:key/x", "us-iso-east-1"),
        ("arn:aws-iso-b:kms:us-isob-east-1:444455556666:key/x", "us-isob-east-1"),
        ("arn:aws-eusc:kms:eusc-de-east-1:444455556666:key/x", "eusc-de-east-1"),
    ],
)
def test_keys_and_aliases_of_every_partition_are_taken(key_ref: str, region: str) -> None:
    partition = key_ref.split(":")[1]
    role = f"arn:{partition}:iam::444455556666:role/service-role/coffer"
    accepted(aws(region=region, role_arn=role) | {"kms_key_ref": key_ref})


@pytest.mark.parametrize(
    "key_ref",
    [
        KEY_ID,
        "alias/coffer",
        f"arn:aws:kms:eu-central-1:44445555666:key/{KEY_ID}",
        f"arn:aws:kms::444455556666:key/{KEY_ID}",
        f"arn:aws:s3:eu-central-1:444455556666:key/{KEY_ID}",
        f"arn:aws:kms:eu-central-1:444455556666:key/{KEY_ID} ",
        f"arn:aws:kms:eu-central-1:444455556666:key/{KEY_ID}\n",
        "arn:aws:kms:eu-central-1:444455556666:alias/aws/s3",
        f"arn:aws-cn:kms:eu-central-1:444455556666:key/{KEY_ID}",
        f"arn:aws:kms:eu.evil.example:444455556666:key/{KEY_ID}",
        f"arn:aws:kms:eu-central-1:111122223333:key/{KEY_ID}",
    ],
)
def test_what_is_no_full_arn_of_a_customers_key_is_refused(key_ref: str) -> None:
    assert "kms_key_ref" in faults(aws() | {"kms_key_ref": key_ref})


@pytest.mark.parametrize(
    "role_arn",
    [
        "coffer",
        "arn:aws:iam::444455556666:user/coffer",
        "arn:aws:iam::4444:role/coffer",
        "arn:aws:sts::444455556666:assumed-role/coffer/x",
        "arn:aws-cn:iam::444455556666:role/coffer",
        "arn:aws:iam::111122223333:role/coffer",
    ],
)
def test_what_is_no_role_of_the_customers_is_refused(role_arn: str) -> None:
    assert list(faults(aws(role_arn=role_arn))) == ["config.role_arn"]


def test_the_region_must_be_the_keys_and_must_be_one() -> None:
    assert list(faults(aws(region="us-east-1"))) == ["config.region"]
    for region in ("eu-central-1.evil.example", "EU-CENTRAL-1", "eu central 1", "@evil", "x"):
        assert "config.region" in faults(aws(region=region))


@pytest.mark.parametrize("external_id", ["x", "with blank", "a" * 1225, "ümlaut", "semi;colon"])
def test_an_external_id_that_aws_would_refuse_is_refused(external_id: str) -> None:
    assert list(faults(aws(external_id=external_id))) == ["config.external_id"]


def test_another_tenants_issued_external_id_is_refused_and_ones_own_is_taken() -> None:
    for stolen in (f"coffer-{OTHER}", f"coffer-{OTHER}".upper(), f"coffer-{OTHER.hex}"):
        assert list(faults(aws(external_id=stolen))) == ["config.external_id"]
    for own in (f"coffer-{TENANT}", "my:own=id/2"):
        assert accepted(aws(external_id=own)).config["external_id"] == own


def test_every_fault_is_told_at_once_by_its_path() -> None:
    body = {
        "provider": "aws",
        "kms_key_ref": 5,
        "config": {"region": "", "passphrse": "x", "external_id": "!"},
        "note": "x",
    }
    assert set(faults(body)) == {
        "kms_key_ref",
        "config.region",
        "config.role_arn",
        "config.passphrse",
        "config.external_id",
        "note",
    }


@pytest.mark.parametrize("body", [{}, {"provider": None, "kms_key_ref": None, "config": None}])
def test_what_is_missing_is_named(body: dict[str, Any]) -> None:
    assert faults(body) == {
        "provider": ["is required"],
        "kms_key_ref": ["is required"],
        "config": ["is required"],
    }


@pytest.mark.parametrize("provider", ["AWS", "oracle", "customer_kms_aws", 3, True, [], {}])
def test_no_other_provider_is_known(provider: object) -> None:
    assert "provider" in faults(aws() | {"provider": provider})


@pytest.mark.parametrize("config", ["x", 1, [], True])
def test_a_config_that_is_no_object_is_refused(config: object) -> None:
    assert faults(aws() | {"config": config}) == {"config": ["must be an object"]}


def test_a_good_body_of_another_cloud_is_taken() -> None:
    accepted(gcp())
    accepted(gcp(project_id="acme-prod"))
    accepted(azure())
    accepted(
        azure(
            azure_tenant_id="11111111-2222-4333-8444-555555555555",
            client_id="11111111-2222-4333-8444-555555555555",
            client_secret_env_var="CUSTOMER_A_SECRET",
        )
    )
    for suffix in (
        "vault.azure.cn",
        "vault.usgovcloudapi.net",
        "vault.microsoftazure.de",
        "managedhsm.azure.net",
    ):
        body = azure(vault_url=f"https://ACME.{suffix}/")
        accepted(body | {"kms_key_ref": f"https://acme.{suffix}/keys/k"})


@pytest.mark.parametrize(
    "key_ref",
    [
        "projects/acme-prod/locations/europe-west3/keyRings/r",
        "projects/acme-prod/locations/x/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        "projects/ACME/locations/x/keyRings/r/cryptoKeys/k",
        "projects/acme-prod/locations/x/keyRings/r/cryptoKeys/../k",
        "projects/operator-project/locations/x/keyRings/r/cryptoKeys/k",
    ],
)
def test_gcp_names_are_checked(key_ref: str) -> None:
    assert list(faults(gcp() | {"kms_key_ref": key_ref})) == ["kms_key_ref"]


@pytest.mark.parametrize(
    "account",
    ["someone@example.com", "x", "coffer@operator-project.iam.gserviceaccount.com", "@x.iam"],
)
def test_gcp_accounts_are_checked(account: str) -> None:
    path = "config.impersonate_service_account"
    assert list(faults(gcp(impersonate_service_account=account))) == [path]


@pytest.mark.parametrize(
    "key_ref",
    [
        "http://acme-vault.vault.azure.net/keys/k",
        "https://acme-vault.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef",
        "https://acme-vault.vault.azure.net/secrets/k",
        "https://acme-vault.vault.azure.net.evil.example/keys/k",
        "https://evil.example/keys/k",
        "https://user@acme-vault.vault.azure.net/keys/k",
        "https://acme-vault.vault.azure.net:8443/keys/k",
        "https://acme-vault.vault.azure.net/keys/k?x=1",
        "https://acme-vault.vault.azure.net/keys/k#x",
        "https://169.254.169.254/keys/k",
        "https://[::1]/keys/k",
        "https://[/keys/k",
        "https://acme-vault.vault.azure.net/keys/k ",
    ],
)
def test_azure_key_urls_are_checked(key_ref: str) -> None:
    assert "kms_key_ref" in faults(azure() | {"kms_key_ref": key_ref})


def test_an_azure_vault_must_be_the_keys() -> None:
    body = azure(vault_url="https://other-vault.vault.azure.net")
    assert list(faults(body)) == ["config.vault_url"]


def test_an_azure_secret_variable_must_be_allowed_for_this_tenant() -> None:
    path = "config.client_secret_env_var"
    assert list(faults(azure(client_secret_env_var="COFFER_MASTER_KEY_B64"))) == [path]
    with pytest.raises(ValidationError) as caught:
        parse(azure(client_secret_env_var="CUSTOMER_A_SECRET"), OTHER, RULES)
    assert list(caught.value.fields) == [path]
    assert list(faults(azure(client_secret_env_var="lower"))) == [path]


def test_the_operators_azure_tenant_is_refused() -> None:
    body = azure(azure_tenant_id="72F988BF-86F1-41AF-91AB-2D7CD011DB47")
    assert list(faults(body)) == ["config.azure_tenant_id"]


GCP_KEY_IN = "projects/{}/locations/x/keyRings/r/cryptoKeys/k"
NUMBER = "123456789012"


@pytest.mark.parametrize(
    "account",
    [
        f"{NUMBER}-compute@developer.gserviceaccount.com",
        f"{NUMBER}@cloudservices.gserviceaccount.com",
        f"service-{NUMBER}@compute-system.iam.gserviceaccount.com",
        f"p{NUMBER}-1@gcp-sa-cloud-sql.iam.gserviceaccount.com",
    ],
)
def test_the_number_of_a_project_does_not_stand_for_one_that_is_refused(account: str) -> None:
    numbered = gcp() | {"kms_key_ref": GCP_KEY_IN.format(NUMBER)}
    impersonating = gcp(impersonate_service_account=account)
    assert list(faults(numbered)) == ["kms_key_ref"]
    assert list(faults(impersonating)) == ["config.impersonate_service_account"]
    for body in (numbered, impersonating):
        parse(body, TENANT, Rules())


def test_accounts_that_somebody_made_are_taken_whatever_digits_are_in_them() -> None:
    for account in ("coffer-20260101@acme-123456.iam", "acme-123456@appspot"):
        accepted(gcp(impersonate_service_account=f"{account}.gserviceaccount.com"))


def test_nobody_is_billed_for_a_tenant_but_the_tenant() -> None:
    assert list(faults(gcp(project_id="operator-project"))) == ["config.project_id"]


def test_an_azure_tenant_is_named_by_its_id_where_some_are_refused() -> None:
    body = azure(azure_tenant_id="operator.onmicrosoft.com")
    assert "UUID" in faults(body)["config.azure_tenant_id"][0]
    parse(body, TENANT, Rules())


OWN: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    (aws(), [aws()]),
    (aws(role_arn=None), [aws()]),
    (
        aws(role_arn="arn:aws:iam::777788889999:role/ops"),
        [aws(), aws(role_arn="arn:aws:iam::777788889999:role/coffer")],
    ),
    (gcp(), [gcp(), gcp(impersonate_service_account="kms@acme-prod.iam.gserviceaccount.com")]),
    (
        gcp(
            project_id="ops-billing",
            impersonate_service_account="coffer@ops-people.iam.gserviceaccount.com",
        ),
        [
            gcp() | {"kms_key_ref": GCP_KEY_IN.format(project)}
            for project in ("acme-prod", "ops-billing", "ops-people", NUMBER)
        ],
    ),
    (azure(), [azure() | {"kms_key_ref": "https://ACME-VAULT.vault.azure.net/keys/other"}]),
]


@pytest.mark.parametrize(("own", "theirs"), OWN)
def test_where_the_operators_own_key_is_no_tenants_is(
    own: dict[str, Any], theirs: list[dict[str, Any]]
) -> None:
    rules = Rules().and_own(None, parse_operator(own))
    for body in theirs:
        parse(body, TENANT, Rules())
        with pytest.raises(ValidationError):
            parse(body, TENANT, rules)
    elsewhere = GCP_KEY_IN.format("coffer")
    account = "coffer@elsewhere.iam.gserviceaccount.com"
    parse(gcp(impersonate_service_account=account) | {"kms_key_ref": elsewhere}, TENANT, rules)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["provider", "kms_key_ref", "config", "x"]), JSON))
def test_any_body_is_answered_with_one_of_ours(body: dict[str, Any]) -> None:
    with pytest.raises(CofferError) as caught:
        parse(body, TENANT, RULES)
    assert caught.value.fields


@given(st.sampled_from([aws, gcp, azure]), st.data())
def test_a_good_body_with_one_field_spoilt_is_refused_at_that_field(
    make: Any, data: st.DataObject
) -> None:
    body = copy.deepcopy(make())
    name = data.draw(st.sampled_from(sorted(CONFIG_FIELDS[body["provider"]])))
    body["config"][name] = data.draw(st.sampled_from(["", " ", "\x00", 1.5, [], {}, True, "<>"]))
    assert f"config.{name}" in faults(body)


KNOWN_HOST = re.compile(
    r"https://[a-z0-9-]{3,24}\.(vault\.azure\.(net|cn)|vault\.usgovcloudapi\.net|vault\.microsoftazure\.de"
    r"|managedhsm\.(azure\.(net|cn)|usgovcloudapi\.net))/keys/[A-Za-z0-9-]{1,127}",
    re.IGNORECASE,
)
NEARLY = st.builds(
    "{}{}{}".format,
    st.sampled_from(["https://", "http://", "https:/", "//", "HTTPS://", "https://u@", ""]),
    st.sampled_from(["acme.vault.azure.net", "acme.vault.azure.net.", "evil.example", "[::1]"])
    | st.text(max_size=30),
    st.sampled_from(["/keys/k", "/keys/k?x", "/keys/k#x", ":8443/keys/k", "@evil.example/keys/k"])
    | st.text(max_size=30),
)


@given(st.text(max_size=300) | NEARLY)
def test_no_text_passes_for_another_host(text: str) -> None:
    try:
        parse(azure() | {"kms_key_ref": text}, TENANT, RULES)
    except StaticCredentialsRejectedError:
        return
    except ValidationError as error:
        found = error.fields
    assert "kms_key_ref" in found or KNOWN_HOST.fullmatch(text)


@pytest.mark.parametrize(
    "account",
    [
        "operator-project@appspot.gserviceaccount.com",
        "123456789012-compute@developer.gserviceaccount.com",
        "123456789012@cloudservices.gserviceaccount.com",
        "service-123456789012@gcp-sa-ekms.iam.gserviceaccount.com",
        "coffer@ours.example.com.iam.gserviceaccount.com",
        "ours.example.com@appspot.gserviceaccount.com",
    ],
)
def test_every_kind_of_the_operators_own_service_accounts_is_refused(account: str) -> None:
    rules = Rules(
        refused_gcp_projects=frozenset({"operator-project", "123456789012", "example.com:ours"})
    )
    with pytest.raises(ValidationError) as caught:
        parse(gcp(impersonate_service_account=account), TENANT, rules)
    assert list(caught.value.fields) == ["config.impersonate_service_account"]
    assert "must not be in a project of the operator" in str(caught.value)


def test_the_operators_own_vaults_are_refused() -> None:
    rules = Rules(refused_azure_vaults=frozenset({"acme-vault.vault.azure.net"}))
    body = azure(vault_url="https://ACME-vault.vault.azure.net")
    with pytest.raises(ValidationError) as caught:
        parse(body, TENANT, rules)
    assert set(caught.value.fields) == {"kms_key_ref", "config.vault_url"}
