"""The process: it starts, says that it is ready, and may be killed at any instant."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from services.common.errors import CofferError
from tests.integration.secrets.stand import Stand

if TYPE_CHECKING:
    from tests.integration.secrets.process import Process
    from tests.integration.secrets.stand import Client

ENOUGH = 200


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


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_what_parses_certificates_has_no_password_and_no_driver(
    started: tuple[Stand, Process],
) -> None:
    _, process = started
    service = psutil.Process(process.pid)
    assert "COFFER_SECRETS_DATABASE_URL" in service.environ()
    workers = service.children(recursive=True)
    assert workers
    for worker in workers:
        assert not [name for name in worker.environ() if name.startswith("COFFER_")]
        mapped = "\n".join(library.path for library in worker.memory_maps())
        assert "cryptography" in mapped
        assert "grpc" not in mapped
        assert "psycopg" not in mapped


def _count(stand: Stand, query: str) -> int:
    return int(str(stand.database.rows(query)[0][0]))
