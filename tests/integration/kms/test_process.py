"""`python -m services.kms` as an operator starts it."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.fakes.kms_stand import signing_key_pem
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

COMMAND = (sys.executable, "-P", "-m", "services.kms")
CONFIGURATION_ERROR = 78


def environment(database: TestDatabase, pki: TestPki, folder: Path) -> dict[str, str]:
    tls, tokens = pki.tls("kms"), pki.issuer.settings
    return {
        "PATH": os.environ["PATH"],
        "COFFER_KMS_LISTEN": "127.0.0.1:0",
        "COFFER_KMS_READY_FILE": str(folder / "ready.json"),
        "COFFER_KMS_TLS_CERT_FILE": str(tls.certificate),
        "COFFER_KMS_TLS_KEY_FILE": str(tls.key),
        "COFFER_KMS_TLS_CA_FILE": str(tls.ca),
        "COFFER_KMS_DATABASE_URL": database.dsn("coffer_kms"),
        "COFFER_MASTER_KEY_B64": base64.b64encode(os.urandom(32)).decode(),
        "COFFER_KMS_IDEMPOTENCY_KEY_B64": base64.b64encode(os.urandom(32)).decode(),
        "COFFER_KMS_SIGNING_KEY": signing_key_pem().decode(),
        "COFFER_ADMIN_JWT_ISSUER": tokens.issuer,
        "COFFER_ADMIN_JWT_AUDIENCE": tokens.audience,
        "COFFER_ADMIN_JWKS_FILE": str(tokens.jwks_file),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_it_says_when_it_is_ready_and_ends_cleanly_when_told(
    database: TestDatabase, pki: TestPki, tmp_path: Path, free_port: int
) -> None:
    environ = environment(database, pki, tmp_path)
    environ["COFFER_KMS_METRICS_LISTEN"] = f"127.0.0.1:{free_port}"
    process = subprocess.Popen(COMMAND, env=environ, stderr=subprocess.PIPE)
    try:
        ready = tmp_path / "ready.json"
        eventually(ready.exists, "ready")
        told = json.loads(ready.read_text(encoding="utf-8"))
        assert told["pid"] == process.pid
        with httpx.Client(base_url=f"http://127.0.0.1:{free_port}", trust_env=False) as client:
            assert client.get("/readyz").status_code == 200
            metrics = client.get("/metrics").text
        for name in (
            "coffer_kms_provider_calls_total",
            "coffer_kms_cached_master_keys 0.0",
            "coffer_kms_sealed_bindings 0.0",
            "coffer_kms_refused_versions 0.0",
        ):
            assert name in metrics
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log.decode()
        assert not ready.exists()
    finally:
        process.kill()
        process.wait()
    for line in log.decode().splitlines():
        assert json.loads(line)["service"] == "kms"
    signing_key = environ["COFFER_KMS_SIGNING_KEY"].splitlines()[1]
    for secret in (environ["COFFER_MASTER_KEY_B64"], signing_key, "only-for-tests"):
        assert secret not in log.decode()


def test_wrong_settings_end_it_at_once_naming_each() -> None:
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(COMMAND, env=environ, capture_output=True, check=False)
    assert done.returncode == CONFIGURATION_ERROR
    assert b"COFFER_MASTER_KEY_B64" in done.stderr
    assert b"COFFER_KMS_LISTEN" in done.stderr


@pytest.mark.parametrize(
    "variable", ["COFFER_KMS_SIGNING_KEY_FILE", "COFFER_KMS_PREVIOUS_SIGNING_KEYS_FILE"]
)
def test_a_key_that_is_no_signing_key_ends_it_at_once_and_is_not_shown(
    database: TestDatabase, pki: TestPki, tmp_path: Path, variable: str
) -> None:
    wrong = pki.tls("kms").key
    environ = environment(database, pki, tmp_path) | {variable: str(wrong)}
    done = subprocess.run(COMMAND, env=environ, capture_output=True, check=False, timeout=60)
    assert done.returncode == CONFIGURATION_ERROR
    assert variable.removesuffix("_FILE").encode() in done.stderr
    assert wrong.read_bytes().splitlines()[1] not in done.stderr


@pytest.fixture
def free_port() -> int:
    """A port that was free a moment ago; the side door has no other way to be found."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
