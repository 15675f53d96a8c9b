"""Settings that would start a gateway which cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import Settings
from services.common.settings import Address, SettingsError

HERE = __file__
GOOD = {
    "COFFER_GATEWAY_LISTEN": "127.0.0.1:8080",
    "COFFER_GATEWAY_TLS_CERT_FILE": HERE,
    "COFFER_GATEWAY_TLS_KEY_FILE": HERE,
    "COFFER_GATEWAY_TLS_CA_FILE": HERE,
    "COFFER_GATEWAY_KMS_TARGET": "kms:1",
    "COFFER_GATEWAY_SECRETS_TARGET": "secrets:2",
    "COFFER_GATEWAY_REWRAP_TARGET": "[::1]:3",
}


def test_what_is_not_set_has_its_documented_default() -> None:
    settings = Settings.read(GOOD)
    assert settings.timeout_seconds == 30
    assert settings.max_body_bytes == 1024 * 1024
    assert settings.ready_file is None
    assert settings.http_certificate is None
    assert settings.targets["rewrap"] == Address("::1", 3)
    assert settings.tls.ca == Path(HERE)
    assert settings.trusted_proxies == ()


def test_trusted_proxies_are_a_list_of_networks() -> None:
    given = {"COFFER_GATEWAY_TRUSTED_PROXIES": "10.1.0.0/16, 192.0.2.7,2001:db8:1::/48"}
    found = [str(network) for network in Settings.read(GOOD | given).trusted_proxies]
    assert found == ["10.1.0.0/16", "192.0.2.7/32", "2001:db8:1::/48"]


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.read({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"COFFER_GATEWAY_HTTP_TLS_CERT_FILE": HERE}, "COFFER_GATEWAY_HTTP_TLS_KEY_FILE"),
        ({"COFFER_GATEWAY_HTTP_TLS_KEY_FILE": HERE}, "COFFER_GATEWAY_HTTP_TLS_CERT_FILE"),
        ({"COFFER_GATEWAY_TIMEOUT_SECONDS": "0"}, "COFFER_GATEWAY_TIMEOUT_SECONDS"),
        ({"COFFER_GATEWAY_BODY_LIMIT_BYTES": "1e9"}, "COFFER_GATEWAY_BODY_LIMIT_BYTES"),
        ({"COFFER_GATEWAY_TRUSTED_PROXIES": "10.0.0.1/8"}, "COFFER_GATEWAY_TRUSTED_PROXIES"),
        ({"COFFER_GATEWAY_TRUSTED_PROXIES": "proxy"}, "COFFER_GATEWAY_TRUSTED_PROXIES"),
        ({"COFFER_GATEWAY_TRUSTED_PROXIES": "::1,0.0.0.0/0"}, "COFFER_GATEWAY_TRUSTED_PROXIES"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings.read(GOOD | given)
