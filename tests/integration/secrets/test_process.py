"""The process: it starts, says that it is ready, and may be killed at any instant."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from services.common.errors import CofferError
from tests.fakes import secrets_kms
from tests.integration.secrets.stand import Client, Stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

ENOUGH = 200
ROOT = Path(__file__).resolve().parents[3]


class Process:
    """`python -m services.secrets`, started anew as often as a test likes."""

    def __init__(self, environ: dict[str, str], ready_file: Path) -> None:
        self._environ = environ
        self._ready_file = ready_file
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        self._ready_file.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.secrets",
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/protos/gen"} | self._environ,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            while (listen := self._listen()) is None:
                assert self._process.returncode is None, "the process ended before it was ready"
                await asyncio.sleep(0.02)
        return listen

    async def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await self._process.wait()

    def _listen(self) -> str | None:
        if not self._ready_file.exists():
            return None
        listen: str = json.loads(self._ready_file.read_text())["listen"]
        return listen


@pytest.fixture
async def started(
    database: TestDatabase, pki: TestPki, tmp_path: Path
) -> AsyncIterator[tuple[Stand, Process]]:
    kms = secrets_kms.FakeKms(database)  # type: ignore[abstract]
    server, port = await secrets_kms.start(kms, pki.tls("kms"))
    tls = pki.tls("secrets")
    environ = {
        "COFFER_SECRETS_LISTEN": "127.0.0.1:0",
        "COFFER_SECRETS_READY_FILE": str(tmp_path / "ready.json"),
        "COFFER_SECRETS_TLS_CERT_FILE": str(tls.certificate),
        "COFFER_SECRETS_TLS_KEY_FILE": str(tls.key),
        "COFFER_SECRETS_TLS_CA_FILE": str(tls.ca),
        "COFFER_SECRETS_DATABASE_URL": database.dsn("coffer_secrets"),
        "COFFER_SECRETS_KMS_TARGET": f"127.0.0.1:{port}",
        "COFFER_SECRETS_CERTIFICATE_WORKERS": "1",
    }
    process = Process(environ, tmp_path / "ready.json")
    stand = Stand(database, pki, kms, await process.start())
    try:
        yield stand, process
    finally:
        await stand.aclose()
        await process.end(signal.SIGKILL)
        await server.stop(None)


async def _create_until_it_dies(
    client: Client, worker: int, made: dict[str, str], enough: asyncio.Event
) -> None:
    for number in range(10_000):
        name = f"W{worker}_{number}"
        try:
            made[name] = (await client.create(name, f"value of {name}")).id
        except CofferError:
            return
        if len(made) >= ENOUGH:
            enough.set()


async def test_a_killed_process_loses_no_acknowledged_secret_and_leaves_no_half_one(
    started: tuple[Stand, Process],
) -> None:
    stand, process = started
    client = stand.tenant()
    stand.database.grant_consumer(client.tenant_id, "dev")
    made: dict[str, str] = {}
    enough = asyncio.Event()
    workers = [
        asyncio.create_task(_create_until_it_dies(client, worker, made, enough))
        for worker in range(16)
    ]
    await asyncio.wait_for(enough.wait(), 60)
    await process.end(signal.SIGKILL)
    await asyncio.gather(*workers)
    await stand.aclose()
    again = Stand(stand.database, stand.pki, stand.kms, await process.start())
    for name in list(made)[-40:]:
        reply = await again.access(client.tenant_id, secret_id=made[name])
        assert reply.value == f"value of {name}"
    counts = [
        _count(stand, query)
        for query in (
            "select count(*) from secrets.secret",
            "select count(*) from secrets.secret_environment",
            "select count(*) from secrets.value_version",
            "select count(*) from secrets.data_key",
            "select live_secrets from secrets.usage",
            "select count(*) from audit.event where action = 'secret.created'",
        )
    ]
    assert len(set(counts)) == 1
    assert counts[0] >= len(made)
    await again.aclose()


async def test_a_stop_finishes_what_was_begun(started: tuple[Stand, Process]) -> None:
    stand, process = started
    client = stand.tenant()
    calls = [asyncio.create_task(client.create(f"S{number}")) for number in range(20)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert await process.end(signal.SIGTERM) == 0
    found: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    acknowledged = sum(not isinstance(outcome, BaseException) for outcome in found)
    assert _count(stand, "select count(*) from secrets.secret") >= acknowledged >= 1


def _count(stand: Stand, query: str) -> int:
    return int(str(stand.database.rows(query)[0][0]))
