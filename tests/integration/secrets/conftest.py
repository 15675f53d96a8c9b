"""The whole secrets service in this process, on a real PostgreSQL, with a kms over real gRPC."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from services.common.rpc.server import ServerSettings
from services.common.sensitive import SecretBytes
from services.common.settings import Address
from services.secrets.__main__ import serve
from services.secrets.settings import Settings
from tests.fakes import secrets_kms
from tests.fakes.secrets_certificates import InlineCertificates
from tests.integration.secrets.process import Process
from tests.integration.secrets.stand import Stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki
    from tests.integration.secrets.stand import Client


@pytest.fixture
async def stand(database: TestDatabase, pki: TestPki, tmp_path: Path) -> AsyncIterator[Stand]:
    """A running service."""
    kms = secrets_kms.FakeKms(database)  # type: ignore[abstract]
    kms_server, kms_port = await secrets_kms.start(kms, pki.tls("kms"))
    ready_file = tmp_path / "ready.json"
    settings = Settings(
        server=ServerSettings(
            listen=Address("127.0.0.1", 0),
            metrics_listen=Address("127.0.0.1", 0),
            ready_file=ready_file,
            tls=pki.tls("secrets"),
            log_level="info",
        ),
        database_url=database.dsn("coffer_secrets"),
        purge_database_url=database.dsn("coffer_secrets_purge"),
        kms_target=Address("127.0.0.1", kms_port),
        certificate_workers=1,
        data_key_stock=64,
        database_connections=8,
        idempotency_key=SecretBytes(bytes(32)),
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(settings, InlineCertificates(), stop))
    try:
        target = await _target(ready_file, serving)
        stand = Stand(database, pki, kms, target)
        yield stand
        await stand.aclose()
    finally:
        stop.set()
        await serving
        await kms_server.stop(None)


@pytest.fixture
def client(stand: Stand) -> Client:
    """Of a tenant with a second environment, `staging`, and a consumer `dev`."""
    made = stand.tenant()
    stand.database.grant_consumer(made.tenant_id, "dev")
    stand.database.execute(
        "insert into secrets.environment (tenant_id, id, name, display_name)"
        " values (%s, %s, 'staging', 'Staging')",
        (made.tenant_id, uuid4()),
    )
    return made


async def _target(ready_file: Path, serving: asyncio.Task[None]) -> str:
    async with asyncio.timeout(30):
        while (listen := _listen(ready_file)) is None:
            if serving.done():
                await serving
            await asyncio.sleep(0.01)
    return listen


def _listen(ready_file: Path) -> str | None:
    if not ready_file.exists():
        return None
    listen: str = json.loads(ready_file.read_text())["listen"]
    return listen


@pytest.fixture
async def started(
    database: TestDatabase, pki: TestPki, tmp_path: Path
) -> AsyncIterator[tuple[Stand, Process]]:
    """A service as a process of its own, which may be killed and started anew."""
    kms = secrets_kms.FakeKms(database)  # type: ignore[abstract]
    server, port = await secrets_kms.start(kms, pki.tls("kms"))
    process = Process(
        "secrets",
        tmp_path,
        pki.tls("secrets"),
        {
            "COFFER_SECRETS_IDEMPOTENCY_KEY_B64": base64.b64encode(os.urandom(32)).decode(),
            "COFFER_SECRETS_DATABASE_URL": database.dsn("coffer_secrets"),
            "COFFER_SECRETS_PURGE_DATABASE_URL": database.dsn("coffer_secrets_purge"),
            "COFFER_SECRETS_PURGE_SECONDS": "0.2",
            "COFFER_SECRETS_KMS_TARGET": f"127.0.0.1:{port}",
            "COFFER_SECRETS_CERTIFICATE_WORKERS": "1",
        },
    )
    stand = Stand(database, pki, kms, await process.start())
    try:
        yield stand, process
    finally:
        await stand.aclose()
        await process.end(signal.SIGKILL)
        await server.stop(None)
