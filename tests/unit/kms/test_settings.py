"""Settings that are missing or wrong stop the process with a word about which."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from services.common.settings import SettingsError
from services.kms.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

TENANT = "11111111-1111-4111-8111-111111111111"
MASTER_KEY = bytes(range(32))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    return {
        "COFFER_KMS_LISTEN": "127.0.0.1:0",
        "COFFER_KMS_TLS_CERT_FILE": str(file),
        "COFFER_KMS_TLS_KEY_FILE": str(file),
        "COFFER_KMS_TLS_CA_FILE": str(file),
        "COFFER_KMS_DATABASE_URL": "postgresql://u:hunter2@/db?host=/tmp",
        "COFFER_MASTER_KEY_B64": base64.b64encode(MASTER_KEY).decode(),
        "COFFER_KMS_IDEMPOTENCY_KEY_B64": base64.b64encode(bytes(32)).decode(),
        "COFFER_KMS_SIGNING_KEY": "-----BEGIN PRIVATE KEY-----",
        "COFFER_ADMIN_JWT_ISSUER": "i",
        "COFFER_ADMIN_JWT_AUDIENCE": "a",
        "COFFER_ADMIN_JWKS_FILE": str(file),
    }


def test_what_is_not_set_has_the_documented_default(environ: dict[str, str]) -> None:
    settings = Settings.read(environ)
    assert settings.lifetimes.customer == 300.0
    assert settings.lifetimes.platform == 3600.0
    assert settings.sealed_retry_seconds == 30.0
    assert settings.aws.kms_endpoint_url is None
    assert settings.rules.refused_aws_accounts == frozenset()
    assert settings.rules.client_secret_env_vars == {}


def test_no_secret_is_in_the_repr(environ: dict[str, str]) -> None:
    text = repr(Settings.read(environ))
    assert "hunter2" not in text
    assert environ["COFFER_MASTER_KEY_B64"] not in text
    assert MASTER_KEY.hex() not in text


def test_every_fault_is_told_at_once_by_its_name_and_never_by_its_value() -> None:
    wrong = {
        "COFFER_MASTER_KEY_B64": "c2hvcnQtc2VjcmV0",
        "COFFER_KMS_CUSTOMER_TTL_SECONDS": "301",
        "COFFER_KMS_PLATFORM_TTL_SECONDS": "0",
        "COFFER_KMS_SEALED_RETRY_SECONDS": "31",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.read(wrong)
    text = str(caught.value)
    for name in (*wrong, "COFFER_KMS_DATABASE_URL", "COFFER_KMS_LISTEN"):
        assert name in text
    assert "c2hvcnQ" not in text
    assert "short-secret" not in text


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "[]",
        '{"x": ["A"]}',
        f'{{"{TENANT}": ["lower"]}}',
        f'{{"{TENANT}": 1}}',
        f'{{"{TENANT}": "AZURE"}}',
        f'{{"{TENANT}": {{"A": 1}}}}',
    ],
)
def test_a_broken_list_of_variables_is_refused(environ: dict[str, str], value: str) -> None:
    environ["COFFER_KMS_CLIENT_SECRET_ENV_VARS"] = value
    with pytest.raises(SettingsError, match="COFFER_KMS_CLIENT_SECRET_ENV_VARS"):
        Settings.read(environ)


def test_the_operators_rules_are_read(environ: dict[str, str]) -> None:
    environ |= {
        "COFFER_KMS_CUSTOMER_TTL_SECONDS": "1",
        "COFFER_KMS_REFUSED_AWS_ACCOUNTS": "111122223333, 444455556666",
        "COFFER_KMS_REFUSED_AZURE_VAULTS": "Mine.vault.azure.net",
        "COFFER_KMS_CLIENT_SECRET_ENV_VARS": f'{{"{TENANT}": ["A_SECRET"]}}',
        "COFFER_KMS_AWS_PRINCIPAL_ARN": "arn:aws:iam::111122223333:role/coffer",
    }
    settings = Settings.read(environ)
    assert settings.lifetimes.customer == 1.0
    assert settings.rules.refused_aws_accounts == {"111122223333", "444455556666"}
    assert settings.rules.refused_azure_vaults == {"mine.vault.azure.net"}
    assert settings.rules.client_secret_env_vars == {UUID(TENANT): {"A_SECRET"}}
    assert settings.setup.aws_principal_arn == "arn:aws:iam::111122223333:role/coffer"


@pytest.mark.parametrize(
    "name",
    [
        "COFFER_KMS_AWS_STS_ENDPOINT_URL",
        "COFFER_KMS_AWS_KMS_ENDPOINT_URL",
        "COFFER_KMS_GCP_IAM_ENDPOINT_URL",
        "COFFER_KMS_AZURE_VAULT_ENDPOINT_URL",
        "COFFER_KMS_AZURE_AUTHORITY_URL",
    ],
)
def test_no_cloud_is_asked_without_tls_beyond_this_machine(
    environ: dict[str, str], name: str
) -> None:
    for good in ("https://kms.example", "http://127.0.0.1:4566"):
        Settings.read(environ | {name: good})
    for bad in ("http://kms.example", "kms.example", "http://127.0.0.1.example"):
        with pytest.raises(SettingsError, match=f"{name} must be an https:// URL"):
            Settings.read(environ | {name: bad})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COFFER_KMS_REFUSED_AWS_ACCOUNTS", "1111-2222-3333"),
        ("COFFER_KMS_REFUSED_GCP_PROJECTS", "123456789012"),
        ("COFFER_KMS_REFUSED_GCP_PROJECTS", "projects/mine"),
        ("COFFER_KMS_REFUSED_AZURE_VAULTS", "https://mine.vault.azure.net"),
        ("COFFER_KMS_REFUSED_AZURE_TENANTS", f"{TENANT},operator.onmicrosoft.com"),
    ],
)
def test_a_list_that_would_refuse_less_than_it_says_stops_the_process(
    environ: dict[str, str], name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.read(environ | {name: value})


def test_the_operators_own_key_is_refused_to_tenants_without_being_listed(
    environ: dict[str, str],
) -> None:
    environ |= {
        "COFFER_KMS_OPERATOR_PROVIDER": "azure",
        "COFFER_KMS_OPERATOR_KEY_REF": "https://Mine.vault.azure.net/keys/coffer",
        "COFFER_KMS_OPERATOR_CONFIG": '{"vault_url": "https://mine.vault.azure.net"}',
        "COFFER_KMS_OPERATOR_PREVIOUS_PROVIDER": "aws",
        "COFFER_KMS_OPERATOR_PREVIOUS_KEY_REF": "arn:aws:kms:eu-central-1:111122223333:key/x",
        "COFFER_KMS_OPERATOR_PREVIOUS_CONFIG": '{"region": "eu-central-1"}',
    }
    rules = Settings.read(environ).rules
    assert rules.refused_azure_vaults == {"mine.vault.azure.net"}
    assert rules.refused_aws_accounts == {"111122223333"}
    assert rules.refused_gcp_projects == frozenset()
