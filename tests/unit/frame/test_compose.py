"""What breaks when a container may do more than it needs, or starts before what it depends on."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = ("kms", "secrets", "rewrap")
PROCESSES = (*SERVICES, "gateway")
EVERY = ("pki", "postgres", "migrate", *PROCESSES)
SECRET_SETTINGS = (
    "DATABASE_URL",
    "MASTER_KEY_B64",
    "MASTER_KEY_PREVIOUS_B64",
    "IDEMPOTENCY_KEY_B64",
    "SIGNING_KEY",
    "PASSWORD",
    "PASSWORDS",
)
OPTIONAL = (
    "COFFER_KMS_OPERATOR_PROVIDER",
    "COFFER_KMS_OPERATOR_KEY_REF",
    "COFFER_KMS_OPERATOR_CONFIG",
    "COFFER_KMS_OPERATOR_PREVIOUS_PROVIDER",
    "COFFER_KMS_OPERATOR_PREVIOUS_KEY_REF",
    "COFFER_KMS_OPERATOR_PREVIOUS_CONFIG",
    "COFFER_KMS_STEP_UP_ON_REPLACE",
    "COFFER_KMS_AWS_PRINCIPAL_ARN",
    "COFFER_KMS_GCP_PRINCIPAL",
    "COFFER_KMS_AZURE_APPLICATION_ID",
    "COFFER_KMS_REFUSED_AWS_ACCOUNTS",
    "COFFER_KMS_REFUSED_GCP_PROJECTS",
    "COFFER_KMS_REFUSED_AZURE_TENANTS",
    "COFFER_KMS_REFUSED_AZURE_VAULTS",
    "COFFER_KMS_CLIENT_SECRET_ENV_VARS",
    "COFFER_SECRETS_RATE_LIMIT_PER_MINUTE",
    "COFFER_GATEWAY_HTTP_TLS_CERT_FILE",
    "COFFER_GATEWAY_HTTP_TLS_KEY_FILE",
    "COFFER_GATEWAY_TRUSTED_PROXIES",
    "COFFER_LOG_LEVEL",
)
CLOUD_IDENTITIES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_ID",
)
OF_CLOUDS = "./deploy/secrets/clouds:/run/clouds:ro"
OF_CLIENTS = "./deploy/secrets/http:/run/http:ro"
ONLY_OF_KMS = ("master_key_b64", "master_key_previous_b64", "signing_key", "previous_signing_keys")


def test_the_stack_is_complete(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_no_container_may_do_what_it_need_not(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(entry.startswith("/tmp:") for entry in service["tmpfs"])
    assert not service.keys() & {"privileged", "pid", "ipc", "devices"}


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("postgres", {"pki": "service_completed_successfully"}),
        ("migrate", {"postgres": "service_healthy"}),
        ("kms", {"migrate": "service_completed_successfully", "postgres": "service_healthy"}),
        ("secrets", {"kms": "service_healthy"}),
        ("rewrap", {"secrets": "service_healthy"}),
        ("gateway", dict.fromkeys(SERVICES, "service_healthy")),
    ],
)
def test_nothing_starts_before_what_it_needs(
    compose: dict[str, Any], name: str, needs: dict[str, str]
) -> None:
    declared = compose["services"][name]["depends_on"]
    found = {other: how["condition"] for other, how in declared.items()}
    assert found.items() >= needs.items()


@pytest.mark.parametrize("name", ["postgres", *PROCESSES])
def test_health_is_asked_for_and_waiting_is_bounded(compose: dict[str, Any], name: str) -> None:
    check = compose["services"][name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check.keys() >= {"interval", "timeout", "retries", "start_period"}


@pytest.mark.parametrize("name", PROCESSES)
def test_the_health_check_asks_the_port_that_serves_it(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    variable = (
        "COFFER_GATEWAY_LISTEN" if name == "gateway" else f"COFFER_{name.upper()}_METRICS_LISTEN"
    )
    port = service["environment"][variable].rpartition(":")[2]
    assert f'"127.0.0.1", {port}' in service["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", PROCESSES)
def test_each_container_starts_the_way_a_person_would(compose: dict[str, Any], name: str) -> None:
    module = name if name == "gateway" else f"services.{name}"
    assert compose["services"][name]["command"] == ["python", "-m", module]


def test_every_secret_comes_from_a_file(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if variable.removesuffix("_FILE").endswith(SECRET_SETTINGS):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_every_mounted_secret_is_declared_and_used(compose: dict[str, Any]) -> None:
    mounted = {
        entry for service in compose["services"].values() for entry in service.get("secrets", [])
    }
    assert mounted == set(compose["secrets"])


def test_nothing_secret_or_security_relevant_has_a_default(root: Path) -> None:
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"\$\{([A-Z0-9_]+):?-([^}]*)\}", text))
    assert defaults == {
        "COFFER_VERSION": "local",
        "COFFER_PUBLISH": "127.0.0.1:8080",
        # Empty means: as documented for a setting that is not given, and the machine's own role.
        **dict.fromkeys(OPTIONAL, ""),
    }


def test_what_is_required_says_where_to_look(root: Path) -> None:
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    example = (root / ".env.example").read_text(encoding="utf-8")
    required = re.findall(r"\$\{([A-Z0-9_]+):\?([^}]*)\}", text)
    assert required
    for variable, message in required:
        assert ".env.example" in message
        assert f"\n{variable}=\n" in example, "an example with a value would survive unnoticed"


def test_every_setting_of_the_example_is_used(root: Path) -> None:
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    example = (root / ".env.example").read_text(encoding="utf-8")
    for variable in re.findall(r"^([A-Z0-9_]+)=", example, re.MULTILINE):
        assert f"${{{variable}" in text


def test_only_the_gateway_is_reachable_from_outside(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert ("ports" in service) is (name == "gateway"), name
    assert compose["services"]["gateway"]["ports"] == ["${COFFER_PUBLISH:-127.0.0.1:8080}:9100"]


def test_only_kms_reaches_the_internet(compose: dict[str, Any]) -> None:
    open_networks = {name for name, how in compose["networks"].items() if not how.get("internal")}
    assert open_networks == {"clouds", "edge"}
    for name, service in compose["services"].items():
        assert ("clouds" in service.get("networks", [])) is (name == "kms"), name
        assert ("edge" in service.get("networks", [])) is (name == "gateway"), name


def test_the_gateway_cannot_reach_the_database(compose: dict[str, Any]) -> None:
    assert "data" not in compose["services"]["gateway"]["networks"]


@pytest.mark.parametrize("name", PROCESSES)
def test_no_process_can_read_the_identity_of_another(compose: dict[str, Any], name: str) -> None:
    own = {"kms": [OF_CLOUDS], "gateway": [OF_CLIENTS]}.get(name, [])
    assert compose["services"][name]["volumes"] == [f"pki-{name}:/pki/{name}:ro", *own]


def test_secrets_is_not_told_whose_administrators_tokens_to_trust(compose: dict[str, Any]) -> None:
    service = compose["services"]["secrets"]
    assert "admin_jwks" not in service["secrets"]
    assert not [name for name in service["environment"] if name.startswith("COFFER_ADMIN_")]
    assert "admin_jwks" in compose["services"]["kms"]["secrets"]


@pytest.mark.parametrize("name", PROCESSES)
def test_what_an_operator_may_turn_goes_through_env(compose: dict[str, Any], name: str) -> None:
    told = compose["services"][name]["environment"]
    wanted = {"COFFER_LOG_LEVEL"} | {one for one in OPTIONAL if f"_{name.upper()}_" in one}
    assert {one: told[one] for one in wanted} == {one: f"${{{one}-}}" for one in wanted}


def test_only_the_issuer_sees_the_key_of_the_ca(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        holds = any(entry.startswith("pki-ca:") for entry in service.get("volumes", []))
        assert holds is (name == "pki"), name


def test_only_kms_holds_the_platform_keys_and_a_cloud_identity(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for secret in ONLY_OF_KMS:
            assert (secret in service.get("secrets", [])) is (name == "kms"), name
        told = service.get("env_file", [])
        assert [one["path"] for one in told] == ["./deploy/secrets/kms.env"] * (name == "kms")
        assert (OF_CLOUDS in service.get("volumes", [])) is (name == "kms"), name


def test_every_identity_of_kms_has_a_place_that_nothing_empties(
    root: Path, compose: dict[str, Any]
) -> None:
    """What stands in `environment` wins over the file, also when it is empty."""
    assert not set(CLOUD_IDENTITIES) & set(compose["services"]["kms"]["environment"])
    prepare = (root / "deploy" / "prepare.sh").read_text(encoding="utf-8")
    example = (root / ".env.example").read_text(encoding="utf-8")
    for name in CLOUD_IDENTITIES:
        assert name in prepare
        assert name not in example, "a file that says that no keys are in it"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="prepare.sh needs openssl")
def test_prepare_keeps_what_is_secret_to_its_owner_and_what_is_there_as_it_is(
    root: Path, tmp_path: Path
) -> None:
    script, made = prepared(root, tmp_path)
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        assert stat.S_IMODE((made / "kms.env").stat().st_mode) == 0o600
        assert stat.S_IMODE((made / "clouds").stat().st_mode) == 0o755
        text = (made / "kms.env").read_text("utf-8")
        (made / "kms.env").write_text("AWS_ACCESS_KEY_ID=x\n", encoding="utf-8")
    assert text == "AWS_ACCESS_KEY_ID=x\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="prepare.sh needs openssl")
@pytest.mark.parametrize("openssl", [None, "exit 1", "exit 0", "echo short"])
def test_prepare_never_passes_an_empty_secret_off_as_made(
    root: Path, tmp_path: Path, openssl: str | None
) -> None:
    script, made = prepared(root, tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cat", "chmod", "mkdir", "mv", "rm", "grep", "dirname"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    if openssl is not None:
        (tools / "openssl").write_text(f"#!/bin/sh\n{openssl}\n", encoding="utf-8")
        (tools / "openssl").chmod(0o755)
    failed = subprocess.run(
        [str(tools / "sh"), str(script)], capture_output=True, env={"PATH": str(tools)}, check=False
    )
    assert failed.returncode != 0
    assert b"openssl" in failed.stderr
    assert b"Next:" not in failed.stdout
    assert [file for file in made.iterdir() if file.is_file()] == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="prepare.sh needs openssl")
def test_prepare_mends_what_a_release_that_did_not_look_left_empty(
    root: Path, tmp_path: Path
) -> None:
    script, made = prepared(root, tmp_path)
    made.mkdir()
    for name in ("master_key_b64", "coffer_kms.password", "signing_key.pem"):
        (made / name).touch()
    (made / "kms_database_url").write_text("postgresql://coffer_kms:@postgres/coffer\n", "utf-8")
    roles = '{"coffer_kms": "", "coffer_secrets_purge": ""}\n'
    (made / "role_passwords.json").write_text(roles, "utf-8")
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    empty = {file.name for file in made.iterdir() if file.is_file() and not file.stat().st_size}
    assert empty == {"master_key_previous_b64", "previous_signing_keys.pem", "kms.env"}
    password = (made / "coffer_kms.password").read_text("utf-8").strip()
    assert f"://coffer_kms:{password}@" in (made / "kms_database_url").read_text("utf-8")
    assert json.loads((made / "role_passwords.json").read_text("utf-8"))["coffer_kms"] == password


def prepared(root: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the script, and the folder that it will make."""
    script = tmp_path / "prepare.sh"
    script.write_text((root / "deploy" / "prepare.sh").read_text("utf-8"), encoding="utf-8")
    return script, tmp_path / "secrets"


def test_postgresql_takes_nothing_but_tls_with_a_password_from_the_network(root: Path) -> None:
    text = (root / "deploy" / "postgres" / "pg_hba.conf").read_text(encoding="utf-8")
    rules = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert rules
    for rule in rules:
        assert rule[0] in {"local", "hostssl"}
        assert rule[-1] == "scram-sha-256"


def test_every_generated_connection_string_checks_the_server_s_name(root: Path) -> None:
    text = (root / "deploy" / "prepare.sh").read_text(encoding="utf-8")
    urls = re.findall(r'="postgresql://.*', text)
    assert urls
    assert all("sslmode=verify-full&sslrootcert=" in url for url in urls)


def test_prepare_makes_every_secret_that_compose_mounts(
    root: Path, compose: dict[str, Any]
) -> None:
    text = (root / "deploy" / "prepare.sh").read_text("utf-8")
    made = set(re.findall(r"^(?:put|random|vacant|url) (\S+)", text, re.MULTILINE))
    for name, secret in compose["secrets"].items():
        if name != "admin_jwks":
            assert secret["file"].removeprefix("./deploy/secrets/") in made
