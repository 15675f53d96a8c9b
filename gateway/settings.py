"""The gateway's settings, from the environment; prefix COFFER_GATEWAY_."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.app import MAX_BODY_BYTES
from services.common.settings import Address, Reader, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network, IPv6Network

_P: Final = "COFFER_GATEWAY"
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What one gateway process needs to know."""

    listen: Address
    ready_file: Path | None
    tls: TlsFiles
    http_certificate: Path | None
    http_key: Path | None
    targets: Mapping[str, Address]
    timeout_seconds: float
    max_body_bytes: int
    drain_seconds: float
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """All settings. Raises SettingsError naming every variable that is missing or wrong.

        COFFER_GATEWAY_LISTEN                 host:port of the HTTP server
        COFFER_GATEWAY_READY_FILE             written while the server accepts requests (optional)
        COFFER_GATEWAY_TLS_CERT_FILE, _TLS_KEY_FILE, _TLS_CA_FILE   identity towards the services
        COFFER_GATEWAY_HTTP_TLS_CERT_FILE, _HTTP_TLS_KEY_FILE       serve HTTPS (optional, both or none)
        COFFER_GATEWAY_KMS_TARGET, _SECRETS_TARGET, _REWRAP_TARGET  host:port of the services
        COFFER_GATEWAY_TIMEOUT_SECONDS        deadline of each rpc, seconds (30)
        COFFER_GATEWAY_BODY_LIMIT_BYTES       largest request body, bytes (1048576)
        COFFER_GATEWAY_DRAIN_SECONDS          how long SIGTERM waits for requests under way, seconds (20)
        COFFER_GATEWAY_TRUSTED_PROXIES        networks whose X-Forwarded-For is believed, by commas (none)
        """
        reader = Reader(environ)
        ready_file = reader.optional(f"{_P}_READY_FILE")
        certificate = reader.optional_path(f"{_P}_HTTP_TLS_CERT_FILE")
        key = reader.optional_path(f"{_P}_HTTP_TLS_KEY_FILE")
        if (certificate is None) != (key is None):
            # Half an identity is a mistake; reading the missing half as required names its variable.
            reader.path(f"{_P}_HTTP_TLS_{'KEY' if key is None else 'CERT'}_FILE")
        settings = cls(
            listen=reader.address(f"{_P}_LISTEN"),
            ready_file=Path(ready_file) if ready_file else None,
            tls=reader.tls(_P),
            http_certificate=certificate,
            http_key=key,
            targets={
                name: reader.address(f"{_P}_{name.upper()}_TARGET")
                for name in ("kms", "secrets", "rewrap")
            },
            timeout_seconds=reader.seconds(
                f"{_P}_TIMEOUT_SECONDS", 30.0, minimum=0.1, maximum=600.0
            ),
            max_body_bytes=reader.integer(
                f"{_P}_BODY_LIMIT_BYTES", MAX_BODY_BYTES, minimum=1024, maximum=3 * _MIB
            ),
            drain_seconds=reader.seconds(f"{_P}_DRAIN_SECONDS", 20.0, minimum=0.0, maximum=600.0),
            trusted_proxies=reader.networks(f"{_P}_TRUSTED_PROXIES"),
        )
        reader.finish()
        return settings
