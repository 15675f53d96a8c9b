"""The process of the secrets service: `python -m services.secrets`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from services.common.api_uses import UseRecorder, recording
from services.common.authentication import Authenticator
from services.common.database import Database
from services.common.idempotency.clearing import Clearing
from services.common.idempotency.guard import Guard
from services.common.metering import ApiKeyMeter
from services.common.rate_limits import RateLimit
from services.common.rate_windows import RateLimiter
from services.common.rpc.channel import open_channel
from services.common.rpc.server import RpcServer, Served, run, stop_on_signals
from services.common.telemetry import Metrics
from services.secrets.accessing import Accessor
from services.secrets.audit_logs import AuditLogs
from services.secrets.certificates import CertificateReader
from services.secrets.changing import Changer
from services.secrets.collections import Collections
from services.secrets.creating import Creator
from services.secrets.data_keys import DataKeyPool
from services.secrets.deleting import Deleter
from services.secrets.environments import Environments
from services.secrets.finishing import Finisher
from services.secrets.foreground import Foreground
from services.secrets.history import History
from services.secrets.kms_client import KmsClient
from services.secrets.observation import Observation
from services.secrets.payloads import Payloads
from services.secrets.purging import Purger
from services.secrets.rewrap_batch import RewrapBatch
from services.secrets.rpc import SecretsServicer
from services.secrets.service import SecretsService
from services.secrets.settings import Settings
from services.secrets.store import (
    PostgresAccesses,
    PostgresAccounts,
    PostgresApiKeys,
    PostgresAuditLogs,
    PostgresClosedEnvironments,
    PostgresCollections,
    PostgresEnvironments,
    PostgresOverdue,
    PostgresPurges,
    PostgresSamples,
    PostgresSecretChanges,
    PostgresSecrets,
    PostgresStaleKeys,
    PostgresValues,
)
from services.secrets.tenancy.account import AccountView
from services.secrets.tenancy.api_keys import ApiKeyRegistry
from services.secrets.verifying import VerifyBatch
from services.secrets.writing import Writer, write_places

if TYPE_CHECKING:
    from services.secrets.ports import Certificates

NAME = "secrets"


async def main() -> None:
    """Serve until told to stop. Raises SettingsError."""
    settings = Settings.read(os.environ)
    certificates = CertificateReader(workers=settings.certificate_workers)
    # First of all: a service that cannot have these processes is of no use.
    await certificates.start()
    try:
        await serve(settings, certificates, stop_on_signals())
    finally:
        await certificates.aclose()


async def serve(settings: Settings, certificates: Certificates, stop: asyncio.Event) -> None:
    """Wire the service and serve until `stop` is set."""
    metrics = Metrics(NAME)
    observation = Observation(metrics)
    foreground = Foreground()
    observation.watch(foreground.slowdown)
    database = Database(
        settings.database_url,
        name=f"coffer {NAME}",
        max_connections=settings.database_connections,
    )
    purge_database = Database(
        settings.purge_database_url, name=f"coffer {NAME} purge", max_connections=1
    )
    purger = Purger(
        PostgresOverdue(purge_database),
        PostgresPurges(database),
        every_seconds=settings.purge_seconds,
    )
    clearing = Clearing(purge_database, NAME, every_seconds=settings.purge_seconds)
    channel = open_channel(str(settings.kms_target), settings.server.tls)
    kms = KmsClient(channel)
    pool = DataKeyPool(kms, observation, max_stock=settings.data_key_stock)
    store = PostgresSecrets(database)
    creator = Creator(store, pool, observation)
    payloads = Payloads(certificates, settings.certificate_workers, observation)
    places = write_places()
    uses = UseRecorder(database)
    changes = PostgresSecretChanges(database)
    stored_values = PostgresValues(database)
    writer = Writer(stored_values, pool, payloads, places)
    environments = Environments(PostgresEnvironments(database), places)
    finisher = Finisher(
        PostgresClosedEnvironments(purge_database),
        environments,
        every_seconds=settings.purge_seconds,
    )
    servicer = SecretsServicer(
        service=SecretsService(store=store, pool=pool, creator=creator, payloads=payloads),
        changer=Changer(changes, places),
        deleter=Deleter(changes, places),
        writer=writer,
        history=History(
            store=stored_values,
            kms=kms,
            payloads=payloads,
            writer=writer,
            places=places,
            observer=observation,
        ),
        environments=environments,
        collections=Collections(PostgresCollections(database), places),
        api_keys=ApiKeyRegistry(PostgresApiKeys(database), places),
        account=AccountView(PostgresAccounts(database), uses),
        audit_logs=AuditLogs(PostgresAuditLogs(database)),
        accessor=Accessor(PostgresAccesses(database), kms, observation),
        rewrap_batch=RewrapBatch(PostgresStaleKeys(database), kms, observation),
        verify_batch=VerifyBatch(PostgresSamples(database), kms, observation),
        foreground=foreground,
    )

    async def ready() -> bool:
        return await database.ping() and await kms.is_serving()

    server = RpcServer(
        NAME,
        settings.server,
        Served(
            secrets_pb2.DESCRIPTOR.services_by_name["SecretsService"],
            lambda to: secrets_pb2_grpc.add_SecretsServiceServicer_to_server(servicer, to),
        ),
        authentication=Authenticator(database, default_limit=_default_limit(settings)),
        metering=ApiKeyMeter(uses, RateLimiter(database)),
        ready=ready,
        metrics=metrics,
        claims=Guard(database, NAME, settings.idempotency_key, count=metrics.copy),
    )
    await database.open()
    await purge_database.open()
    background = (
        asyncio.create_task(purger.run(), name="purging"),
        asyncio.create_task(clearing.run(), name="clearing"),
        asyncio.create_task(finisher.run(), name="finishing"),
    )
    try:
        async with recording(uses):
            await server.serve(stop)
    finally:
        for task in background:
            task.cancel()
        for task in background:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await pool.aclose()
        await channel.close()
        await purge_database.close()
        await database.close()


def _default_limit(settings: Settings) -> RateLimit | None:
    calls = settings.rate_limit_per_minute
    return RateLimit(calls) if calls else None


if __name__ == "__main__":
    sys.exit(run(NAME, main))
