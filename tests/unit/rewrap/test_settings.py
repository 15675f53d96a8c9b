"""Settings of rewrap: what is wrong is said by the variable's name, and never with its value."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from services.common.settings import SettingsError
from services.rewrap.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "file"
    file.touch()
    files = ("TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CA_FILE")
    return {
        "COFFER_REWRAP_LISTEN": "127.0.0.1:0",
        **{f"COFFER_REWRAP_{name}": str(file) for name in files},
        "COFFER_REWRAP_DATABASE_URL": "postgresql://a:hunter2@localhost/db",
        "COFFER_REWRAP_DISPATCH_DATABASE_URL": "postgresql://b:hunter2@localhost/db",
        "COFFER_REWRAP_QUEUE_DATABASE_URL": "postgresql://c:hunter2@localhost/db",
        "COFFER_REWRAP_SECRETS_TARGET": "127.0.0.1:1",
        "COFFER_REWRAP_KMS_TARGET": "127.0.0.1:2",
        "COFFER_REWRAP_IDEMPOTENCY_KEY_B64": base64.b64encode(bytes(32)).decode(),
        "COFFER_ADMIN_JWT_ISSUER": "i",
        "COFFER_ADMIN_JWT_AUDIENCE": "a",
        "COFFER_ADMIN_JWKS_FILE": str(file),
    }


def test_the_defaults_find_a_dead_worker_within_ten_seconds(environ: dict[str, str]) -> None:
    settings = Settings.read(environ)
    assert settings.worker
    assert settings.stalled_seconds + 2 * settings.heartbeat_seconds < 10
    assert (settings.effort.lanes, settings.effort.batch) == (4, 2000)
    assert settings.effort.patience_seconds > settings.stalled_seconds


@pytest.mark.parametrize(("value", "sample"), [("0", 0), ("500", 500), ("all", None)])
def test_a_sample_may_be_everything(
    environ: dict[str, str], value: str, sample: int | None
) -> None:
    settings = Settings.read(environ | {"COFFER_REWRAP_VERIFY_SAMPLE": value})
    assert settings.effort.sample == sample


def test_no_password_is_in_the_repr(environ: dict[str, str]) -> None:
    assert "hunter2" not in repr(Settings.read(environ))


def test_every_missing_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as fault:
        Settings.read({})
    required = "DATABASE_URL DISPATCH_DATABASE_URL QUEUE_DATABASE_URL SECRETS_TARGET KMS_TARGET"
    for name in required.split():
        assert f"COFFER_REWRAP_{name}" in str(fault.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LANES", "33"),
        ("BATCH", "5001"),
        ("WORKER", "yes"),
        ("STALLED_SECONDS", "0"),
        ("IN_FLIGHT", "0"),
        ("VERIFY_SAMPLE", "some"),
        ("SLOWDOWN_PERCENT", "1001"),
        ("SLOWEST_PERCENT", "0"),
    ],
)
def test_a_value_out_of_range_is_refused(environ: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"COFFER_REWRAP_{name}"):
        Settings.read(environ | {f"COFFER_REWRAP_{name}": value})
