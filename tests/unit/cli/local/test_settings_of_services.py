"""What each child is told, and above all what it is not told."""

from pathlib import Path

import pytest

from cli.local.database_urls import role_url
from cli.local.directory import DataDirectory
from cli.local.errors import LocalError
from cli.local.keys import LocalKeys
from cli.local.pki import Identity
from cli.local.services import PORT_NAMES, SERVICES, StackFacts, service_environment

OPERATOR = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "AWS_ACCESS_KEY_ID": "operator",
    "AWS_SESSION_TOKEN": "operator",
    "COFFER_DATABASE_URL": "postgresql://admin:pw@/x",
    "COFFER_MASTER_KEY_B64": "operator",
    "COFFER_KMS_CUSTOMER_TTL_SECONDS": "5",
    "COFFER_KMS_DATABASE_URL": "postgresql://other",
}


def facts(
    cloud: dict[str, str] | None = None, overrides: dict[str, str] | None = None
) -> StackFacts:
    root = Path("/data")
    return StackFacts(
        directory=DataDirectory(root),
        keys=LocalKeys(root / "secrets"),
        addresses={name: f"127.0.0.1:{number}" for number, name in enumerate(PORT_NAMES, 1000)},
        identities={name: Identity(root, root, root) for name in SERVICES},
        cloud=cloud,
        overrides=overrides or {},
        operator=OPERATOR,
    )


@pytest.mark.parametrize("name", ["secrets", "rewrap", "gateway"])
def test_cloud_credentials_and_the_master_key_reach_kms_alone(name: str) -> None:
    env = service_environment(name, facts())
    assert not [key for key in env if key.startswith(("AWS_", "COFFER_MASTER", "HOME"))]
    assert "AWS_ACCESS_KEY_ID" in service_environment("kms", facts())


@pytest.mark.parametrize("name", SERVICES)
def test_the_administrators_database_url_reaches_no_service(name: str) -> None:
    env = service_environment(name, facts())
    assert "COFFER_DATABASE_URL" not in env
    assert not [value for value in env.values() if "pw@" in value]


def test_the_gateway_gets_no_database() -> None:
    assert not [key for key in service_environment("gateway", facts()) if "DATABASE" in key]


def test_the_stand_ins_credentials_replace_the_operators() -> None:
    env = service_environment("kms", facts(cloud={"AWS_ACCESS_KEY_ID": "standin"}))
    assert env["AWS_ACCESS_KEY_ID"] == "standin"
    assert "AWS_SESSION_TOKEN" not in env


def test_a_setting_is_given_in_one_form_only() -> None:
    env = service_environment("kms", facts())
    assert "COFFER_KMS_DATABASE_URL_FILE" in env
    assert "COFFER_KMS_DATABASE_URL" not in env


def test_overrides_reach_their_service_or_all_and_win() -> None:
    told = facts(overrides={"COFFER_KMS_CUSTOMER_TTL_SECONDS": "2", "COFFER_LOG_LEVEL": "debug"})
    assert service_environment("kms", told)["COFFER_KMS_CUSTOMER_TTL_SECONDS"] == "2"
    assert "COFFER_KMS_CUSTOMER_TTL_SECONDS" not in service_environment("secrets", told)
    assert service_environment("gateway", told)["COFFER_LOG_LEVEL"] == "debug"


def test_a_role_logs_in_as_itself_on_the_same_database() -> None:
    url = role_url("postgresql://postgres:p%40w@/postgres?host=/a/b", "coffer_kms", "x/y")
    assert url == "postgresql://coffer_kms:x%2Fy@/postgres?host=/a/b"


def test_the_queue_finds_its_own_schema() -> None:
    url = role_url("postgresql://a:b@db:5432/coffer?sslmode=verify-full", "coffer_queue", "p")
    assert url.startswith("postgresql://coffer_queue:p@db:5432/coffer?sslmode=verify-full&options=")
    assert url.endswith("-c%20search_path%3Dprocrastinate")


def test_a_refused_database_url_is_not_repeated() -> None:
    with pytest.raises(LocalError) as caught:
        role_url("mysql://root:hunter2@db/x", "coffer_kms", "p")
    assert "hunter2" not in str(caught.value)
