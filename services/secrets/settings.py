"""The settings of the secrets service, from the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.database_urls import database_url
from services.common.rate_limits import MAX_LIMIT
from services.common.rpc.server import ServerSettings
from services.common.settings import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.common.sensitive import SecretBytes
    from services.common.settings import Address

PREFIX: Final = "COFFER_SECRETS"
DEFAULT_CERTIFICATE_WORKERS: Final = 2
DEFAULT_STOCK: Final = 64
DEFAULT_CONNECTIONS: Final = 16
DEFAULT_PURGE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything secrets is told by its environment. The database URLs may hold passwords.

    ========================================= ============= ========= =====================================
    variable                                  unit          default   meaning
    ========================================= ============= ========= =====================================
    COFFER_SECRETS_LISTEN, _METRICS_LISTEN,   host:port,              see `ServerSettings`
    _READY_FILE, _TLS_*, COFFER_LOG_LEVEL     paths
    COFFER_SECRETS_DATABASE_URL (_FILE)       postgresql:// required  login role coffer_secrets
    COFFER_SECRETS_DATABASE_CONNECTIONS       connections   16        at most, 2 to 200
    COFFER_SECRETS_PURGE_DATABASE_URL (_FILE) postgresql:// required  login role coffer_secrets_purge
    COFFER_SECRETS_PURGE_SECONDS              seconds       60        between looks for old deletions,
                                                                      0.1 to 3600
    COFFER_SECRETS_KMS_TARGET                 host:port     required  the kms service
    COFFER_SECRETS_CERTIFICATE_WORKERS        processes     2         that read certificates, 1 to 32
    COFFER_SECRETS_IDEMPOTENCY_KEY_B64        base64        required  32 bytes, the same in all processes:
    (_FILE)                                                           requests with an Idempotency-Key are
                                                                      told apart under it
    COFFER_SECRETS_DATA_KEY_STOCK             data keys     64        unused ones of a busy tenant at most,
                                                                      0 to 128
    COFFER_SECRETS_RATE_LIMIT_PER_MINUTE      calls         0         of an API key without a limit of its
                                                                      own, 0 (none) to 1000000
    ========================================= ============= ========= =====================================
    """

    server: ServerSettings
    database_url: str
    kms_target: Address
    certificate_workers: int
    data_key_stock: int
    database_connections: int
    idempotency_key: SecretBytes
    purge_database_url: str
    purge_seconds: float = DEFAULT_PURGE_SECONDS
    rate_limit_per_minute: int = 0

    def __repr__(self) -> str:
        return f"Settings(kms_target={self.kms_target})"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Raises SettingsError with a line for each variable that is missing or wrong."""
        reader = Reader(environ)
        settings = cls(
            server=ServerSettings.read(reader, PREFIX),
            database_url=database_url(reader, f"{PREFIX}_DATABASE_URL"),
            kms_target=reader.address(f"{PREFIX}_KMS_TARGET"),
            certificate_workers=reader.integer(
                f"{PREFIX}_CERTIFICATE_WORKERS",
                DEFAULT_CERTIFICATE_WORKERS,
                minimum=1,
                maximum=32,
            ),
            data_key_stock=reader.integer(
                f"{PREFIX}_DATA_KEY_STOCK", DEFAULT_STOCK, minimum=0, maximum=128
            ),
            database_connections=reader.integer(
                f"{PREFIX}_DATABASE_CONNECTIONS", DEFAULT_CONNECTIONS, minimum=2, maximum=200
            ),
            idempotency_key=reader.key_bytes(f"{PREFIX}_IDEMPOTENCY_KEY_B64", 32),
            purge_database_url=database_url(reader, f"{PREFIX}_PURGE_DATABASE_URL"),
            purge_seconds=reader.seconds(
                f"{PREFIX}_PURGE_SECONDS", DEFAULT_PURGE_SECONDS, minimum=0.1, maximum=3600
            ),
            rate_limit_per_minute=reader.integer(
                f"{PREFIX}_RATE_LIMIT_PER_MINUTE", 0, minimum=0, maximum=MAX_LIMIT
            ),
        )
        reader.finish()
        return settings
