"""`python -m services.kms`: wires the process and serves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from typing import TYPE_CHECKING

from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from services.common.authentication import Authenticator
from services.common.clock import clock
from services.common.database import Database
from services.common.idempotency.clearing import Clearing
from services.common.idempotency.guard import Guard
from services.common.notifications import Listener
from services.common.rpc.server import RpcServer, Served, run, stop_on_signals
from services.common.telemetry import Metrics
from services.common.tokens import TokenVerifier
from services.kms.data_keys import DataKeys
from services.kms.keys.announcements import CHANNEL, Announcement
from services.kms.keys.cache import MasterKeyCache
from services.kms.keys.master_keys import MasterKeys
from services.kms.keys.sealing import Seals
from services.kms.keys.tending import Tending
from services.kms.lifecycle.draining import Draining
from services.kms.lifecycle.heads import AuditHeads
from services.kms.lifecycle.rekeying import Rekeying
from services.kms.lifecycle.revoking import Revoking
from services.kms.lifecycle.rewrap_reports import RewrapReports
from services.kms.metrics import KmsMetrics
from services.kms.model import WrapMethod
from services.kms.papers import Papers
from services.kms.providers.aws import AwsProvider
from services.kms.providers.azure import AzureProvider
from services.kms.providers.braking import Brake
from services.kms.providers.catalog import Catalog, Provider
from services.kms.providers.gcp import GcpProvider
from services.kms.providers.operator import LocatedKey, OperatorKey
from services.kms.providers.platform import PlatformKey
from services.kms.rpc import KmsServicer
from services.kms.service import TenantKmsService
from services.kms.settings import Settings
from services.kms.store import (
    AuditHeadStore,
    Counting,
    PlatformStore,
    Revocations,
    Store,
    StoredReports,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "kms"


class Process:
    """One kms process, put together. Construction does no I/O but belongs into a running event loop."""

    def __init__(self, settings: Settings) -> None:
        sender = uuid.uuid4().hex
        metrics = Metrics(NAME)
        kms_metrics = KmsMetrics(metrics)
        self._papers = Papers(settings.signing_key, settings.previous_signing_keys_file)
        self._database = Database(
            settings.database_url,
            name=f"coffer {NAME}",
            max_connections=settings.database_connections,
        )
        self._listener = Listener(
            settings.database_url,
            CHANNEL,
            on_payload=lambda payload: self._heard(payload, sender),
            on_gap=self.forget_all,
        )
        self._aws = AwsProvider(
            kms_metrics,
            sts_endpoint_url=settings.aws.sts_endpoint_url,
            kms_endpoint_url=settings.aws.kms_endpoint_url,
            principal_arn=settings.setup.aws_principal_arn,
            reuse_seconds=settings.lifetimes.grant_reuse,
        )
        self._gcp = GcpProvider(
            kms_metrics,
            endpoints=settings.gcp,
            principal=settings.setup.gcp_principal,
            reuse_seconds=settings.lifetimes.grant_reuse,
        )
        self._azure = AzureProvider(
            kms_metrics,
            endpoints=settings.azure,
            application_id=settings.setup.azure_application_id,
            environ=os.environ,
            rules=settings.rules,
            reuse_seconds=settings.lifetimes.grant_reuse,
        )
        clouds: dict[str, Provider] = {
            "aws": self._aws,
            "gcp": self._gcp,
            "azure": self._azure,
        }
        wrapping = _catalog(settings, kms_metrics, clouds)
        self._cache = MasterKeyCache(
            trusted=lambda: self._listener.alive, clock=clock, max_keys=settings.cached_keys
        )
        seals = Seals(settings.sealed_retry_seconds, clock)
        kms_metrics.watch(
            cached_keys=lambda: len(self._cache),
            sealed=lambda: len(seals),
            refused=lambda: seals.refused,
        )
        counting = Counting(settings.database_connections)
        store = Store(self._database, sender, counting)
        self._master_keys = MasterKeys(
            store, wrapping, self._cache, seals, lifetimes=settings.lifetimes, clock=clock
        )
        self._tending = Tending(
            self._master_keys,
            store,
            self._cache,
            seals,
            lifetimes=settings.lifetimes,
            clock=clock,
        )
        self._clearing = Clearing(self._database, NAME)
        self._draining = Draining(store, self._master_keys, clock=clock)
        tenant_kms = TenantKmsService(
            store,
            store,
            wrapping,
            self._master_keys,
            self._tending,
            keys=store,
            drains=self._draining,
            rules=settings.rules,
            setup=settings.setup,
            clock=clock,
            step_up_on_replace=settings.step_up_on_replace,
        )
        servicer = KmsServicer(
            tenant_kms,
            DataKeys(store, self._master_keys),
            Revoking(
                Revocations(self._database, sender, counting),
                store,
                self._master_keys,
                self._papers,
            ),
            self._papers,
            rekeying=Rekeying(PlatformStore(self._database), wrapping, clock=clock),
            heads=AuditHeads(AuditHeadStore(self._database), self._papers),
            reports=RewrapReports(StoredReports(self._database, counting), self._papers),
        )
        self.server = RpcServer(
            NAME,
            settings.server,
            Served(
                kms_pb2.DESCRIPTOR.services_by_name["KmsService"],
                lambda server: kms_pb2_grpc.add_KmsServiceServicer_to_server(servicer, server),
            ),
            authentication=Authenticator(self._database, TokenVerifier(settings.tokens)),
            ready=self.ready,
            metrics=metrics,
            claims=Guard(self._database, NAME, settings.idempotency_key, count=metrics.copy),
        )

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then leave nothing behind."""
        await self._papers.open()
        await self._database.open()
        self._listener.start()
        background = (
            asyncio.create_task(self._tending.run(), name="tending"),
            asyncio.create_task(self._draining.run(), name="draining"),
            asyncio.create_task(self._clearing.run(), name="clearing"),
        )
        try:
            await self.server.serve(stop)
        finally:
            for task in background:
                task.cancel()
            for task in background:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self._listener.stop()
            await self._database.close()
            self._aws.close()
            await self._gcp.close()
            await self._azure.close()
            self._cache.flush()

    def forget_all(self) -> None:
        """Drop every open key; they are asked for again."""
        self._cache.flush()

    async def ready(self) -> bool:
        """Whether the database answers, and changes made elsewhere would be heard."""
        return self._listener.alive and await self._database.ping()

    def _heard(self, payload: str, sender: str) -> None:
        announcement = Announcement.parse(payload)
        if announcement is None:
            self._cache.flush()  # of a release that knows more than this one
        elif announcement.sender == sender:
            self._master_keys.echoed(announcement)
        else:
            self._master_keys.heard(announcement)


def _catalog(settings: Settings, metrics: KmsMetrics, clouds: Mapping[str, Provider]) -> Catalog:
    """Customers' clouds, and the platform's own keys: the present ones wrap, all of them open."""
    present, previous = (
        LocatedKey.find(told.target() if told else None, clouds)
        for told in (settings.operator_key, settings.previous_operator_key)
    )
    return Catalog(
        PlatformKey(settings.master_key, metrics, previous=settings.previous_master_key),
        clouds,
        operator=OperatorKey(present, previous, Brake(settings.sealed_retry_seconds, clock)),
        method=WrapMethod.OPERATOR_KMS if present else WrapMethod.GLOBAL,
    )


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = Settings.read(os.environ)
    await Process(settings).serve(stop_on_signals())


if __name__ == "__main__":
    sys.exit(run(NAME, main))
