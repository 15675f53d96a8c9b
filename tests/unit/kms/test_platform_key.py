"""Turning the platform's key: what opens, with which key, and what stops kms from starting."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from services.common.sensitive import SecretBytes
from services.common.settings import Reader, SettingsError
from services.kms.cloud_settings import OPERATOR_PREVIOUS, OperatorKeySettings
from services.kms.model import KeyFacts, Reason, WrapError, Wrapped
from services.kms.providers.platform import PlatformKey
from services.kms.settings import Settings
from tests.fakes.kms_keys import CountingMeter

FACTS = KeyFacts(uuid.UUID(int=1), uuid.UUID(int=2))
OLD, NEW, MASTER = bytes(range(32)), bytes(range(1, 33)), bytes(range(100, 132))
VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "kcg-1.json"
KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234"


def platform(key: bytes, previous: bytes | None = None) -> tuple[PlatformKey, CountingMeter]:
    meter = CountingMeter()
    before = SecretBytes(previous) if previous else None
    return PlatformKey(SecretBytes(key), meter, previous=before), meter


async def test_the_previous_key_opens_and_never_wraps() -> None:
    old, _ = platform(OLD)
    turning, meter = platform(NEW, OLD)
    new, _ = platform(NEW)
    before = await old.wrap(FACTS, MASTER)
    assert await turning.unwrap(FACTS, before) == MASTER
    assert meter.counted == [("platform", "unwrap_previous", "ok")]
    after = await turning.wrap(FACTS, MASTER)
    assert await new.unwrap(FACTS, after) == MASTER
    assert not turning.is_present(FACTS, before, None)
    assert turning.is_present(FACTS, after, None)
    with pytest.raises(WrapError) as caught:
        await old.unwrap(FACTS, after)
    assert caught.value.reason is Reason.ROUNDTRIP_MISMATCH


async def test_neither_key_opens_anothers_tenants_or_keys_bytes() -> None:
    turning, _ = platform(NEW, OLD)
    wrapped = await platform(OLD)[0].wrap(FACTS, MASTER)
    for other in (
        KeyFacts(uuid.UUID(int=3), FACTS.key_id),
        KeyFacts(FACTS.tenant_id, uuid.UUID(int=3)),
    ):
        with pytest.raises(WrapError):
            await turning.unwrap(other, wrapped)
        assert not turning.is_present(other, await turning.wrap(FACTS, MASTER), None)


async def test_a_golden_key_opens_also_when_its_platform_key_is_the_previous_one() -> None:
    [vector] = json.loads(VECTORS.read_text(encoding="utf-8"))
    turning, _ = platform(NEW, bytes.fromhex(vector["platform_key"]))
    facts = KeyFacts(uuid.UUID(vector["tenant_id"]), uuid.UUID(vector["key_id"]))
    opened = await turning.unwrap(facts, Wrapped(bytes.fromhex(vector["wrapped"])))
    assert opened.hex() == vector["master_key"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    return {
        "COFFER_KMS_LISTEN": "127.0.0.1:0",
        "COFFER_KMS_TLS_CERT_FILE": str(file),
        "COFFER_KMS_TLS_KEY_FILE": str(file),
        "COFFER_KMS_TLS_CA_FILE": str(file),
        "COFFER_KMS_DATABASE_URL": "postgresql://u@/db?host=/tmp",
        "COFFER_MASTER_KEY_B64": base64.b64encode(NEW).decode(),
        "COFFER_KMS_IDEMPOTENCY_KEY_B64": base64.b64encode(bytes(32)).decode(),
        "COFFER_KMS_SIGNING_KEY": "-----BEGIN PRIVATE KEY-----",
        "COFFER_ADMIN_JWT_ISSUER": "i",
        "COFFER_ADMIN_JWT_AUDIENCE": "a",
        "COFFER_ADMIN_JWKS_FILE": str(file),
        "COFFER_KMS_REFUSED_AWS_ACCOUNTS": "111122223333",
    }


def test_the_same_key_twice_is_refused_by_name_and_not_shown(environ: dict[str, str]) -> None:
    told = environ["COFFER_MASTER_KEY_B64"]
    with pytest.raises(SettingsError) as caught:
        Settings.read(environ | {"COFFER_MASTER_KEY_PREVIOUS_B64": told})
    assert "COFFER_MASTER_KEY_PREVIOUS_B64" in str(caught.value)
    assert told not in str(caught.value)
    other = base64.b64encode(OLD).decode()
    settings = Settings.read(environ | {"COFFER_MASTER_KEY_PREVIOUS_B64": other})
    assert settings.previous_master_key is not None
    assert other not in repr(settings)


@pytest.mark.parametrize(
    ("provider", "key_ref", "config", "missing"),
    [
        ("aws", KEY_ARN, {"region": "eu-central-1"}, "role_arn"),
        (
            "gcp",
            "projects/p-12345/locations/eu/keyRings/r/cryptoKeys/k",
            {},
            "impersonate_service_account",
        ),
        (
            "azure",
            "https://ops.vault.azure.net/keys/k",
            {"vault_url": "https://ops.vault.azure.net", "client_secret_env_var": "SECRET"},
            "client_id",
        ),
    ],
)
def test_the_operators_key_may_be_used_by_kms_itself(
    environ: dict[str, str], provider: str, key_ref: str, config: dict[str, Any], missing: str
) -> None:
    told = {"PROVIDER": provider, "KEY_REF": key_ref, "CONFIG": json.dumps(config)}
    settings = Settings.read(environ | {f"COFFER_KMS_OPERATOR_{k}": v for k, v in told.items()})
    assert settings.operator_key is not None
    target = settings.operator_key.target()
    assert target.kms_key_ref == key_ref
    assert target.config[missing] is None


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"PROVIDER": "aws"}, "COFFER_KMS_OPERATOR_KEY_REF"),
        ({"PROVIDER": "ibm", "KEY_REF": "k"}, "COFFER_KMS_OPERATOR_PROVIDER must be one of"),
        ({"PROVIDER": "aws", "KEY_REF": "k"}, "COFFER_KMS_OPERATOR_KEY_REF must be the full ARN"),
        ({"PROVIDER": "aws", "KEY_REF": KEY_ARN}, "COFFER_KMS_OPERATOR_CONFIG region is required"),
        (
            {"PROVIDER": "aws", "KEY_REF": KEY_ARN, "CONFIG": '{"region": "eu-west-1"}'},
            "COFFER_KMS_OPERATOR_CONFIG region must equal",
        ),
        (
            {"PROVIDER": "gcp", "KEY_REF": "k", "CONFIG": '{"credentials_json": "hunter2"}'},
            "COFFER_KMS_OPERATOR_CONFIG credentials_json",
        ),
    ],
)
def test_a_wrong_operator_key_stops_kms_naming_the_variable(
    environ: dict[str, str], told: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.read(environ | {f"COFFER_KMS_OPERATOR_{k}": v for k, v in told.items()})
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_previous_operator_key_has_names_of_its_own() -> None:
    told = {f"{OPERATOR_PREVIOUS}_PROVIDER": "aws", f"{OPERATOR_PREVIOUS}_KEY_REF": "k"}
    assert OperatorKeySettings.read(Reader(told)) is None
    with pytest.raises(SettingsError, match="COFFER_KMS_OPERATOR_PREVIOUS_KEY_REF"):
        OperatorKeySettings.read(Reader(told), OPERATOR_PREVIOUS)
