"""The settings of rewrap, from the environment; all are listed in docs/settings.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.common.database_urls import database_url
from services.common.rpc.server import ServerSettings
from services.common.settings import Reader
from services.common.tokens import TokenSettings
from services.rewrap.model import MAX_LANES
from services.rewrap.run import Effort

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.common.sensitive import SecretBytes


@dataclass(frozen=True, slots=True)
class Settings:
    """What rewrap is told. A worker that is silent for `stalled_seconds` is taken for dead."""

    server: ServerSettings
    tokens: TokenSettings
    database_url: str = field(repr=False)
    dispatch_database_url: str = field(repr=False)
    queue_database_url: str = field(repr=False)
    idempotency_key: SecretBytes
    secrets_target: str
    kms_target: str
    worker: bool
    concurrency: int
    in_flight: int
    slowdown_limit: float
    slowest: float
    effort: Effort
    dispatch_seconds: float
    heartbeat_seconds: float
    stalled_seconds: float

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Raises SettingsError naming every variable that is missing or wrong."""
        reader = Reader(environ)
        stalled_seconds = reader.seconds(
            "COFFER_REWRAP_STALLED_SECONDS", 5, minimum=0.5, maximum=600
        )
        settings = cls(
            server=ServerSettings.read(reader, "COFFER_REWRAP"),
            tokens=TokenSettings.read(reader),
            database_url=database_url(reader, "COFFER_REWRAP_DATABASE_URL"),
            dispatch_database_url=database_url(reader, "COFFER_REWRAP_DISPATCH_DATABASE_URL"),
            queue_database_url=database_url(reader, "COFFER_REWRAP_QUEUE_DATABASE_URL"),
            idempotency_key=reader.key_bytes("COFFER_REWRAP_IDEMPOTENCY_KEY_B64", 32),
            secrets_target=reader.text("COFFER_REWRAP_SECRETS_TARGET"),
            kms_target=reader.text("COFFER_REWRAP_KMS_TARGET"),
            worker=reader.flag("COFFER_REWRAP_WORKER", default=True),
            concurrency=reader.integer("COFFER_REWRAP_CONCURRENCY", 32, minimum=1, maximum=256),
            in_flight=reader.integer("COFFER_REWRAP_IN_FLIGHT", 4, minimum=1, maximum=64),
            slowdown_limit=_percent(reader, "COFFER_REWRAP_SLOWDOWN_PERCENT", 110, (0, 1000)),
            slowest=_percent(reader, "COFFER_REWRAP_SLOWEST_PERCENT", 5, (1, 100)),
            effort=Effort(
                lanes=reader.integer("COFFER_REWRAP_LANES", 4, minimum=1, maximum=MAX_LANES),
                batch=reader.integer("COFFER_REWRAP_BATCH", 2000, minimum=1, maximum=5000),
                slice_seconds=reader.seconds(
                    "COFFER_REWRAP_SLICE_SECONDS", 30, minimum=0.1, maximum=3600
                ),
                sample=_sample(reader),
                patience_seconds=stalled_seconds + 1,
            ),
            dispatch_seconds=reader.seconds(
                "COFFER_REWRAP_DISPATCH_SECONDS", 5, minimum=0.1, maximum=60
            ),
            heartbeat_seconds=reader.seconds(
                "COFFER_REWRAP_HEARTBEAT_SECONDS", 1, minimum=0.1, maximum=60
            ),
            stalled_seconds=stalled_seconds,
        )
        reader.finish()
        return settings


def _percent(reader: Reader, name: str, default: int, bounds: tuple[int, int]) -> float:
    return reader.integer(name, default, minimum=bounds[0], maximum=bounds[1]) / 100


def _sample(reader: Reader) -> int | None:
    """Data keys to verify; None: all."""
    name = "COFFER_REWRAP_VERIFY_SAMPLE"
    if reader.optional(name) == "all":
        return None
    return reader.integer(name, 10_000, minimum=0, maximum=1_000_000_000)
