"""A stand to try rewrap on: a database with tenants' data keys, and rewrap processes, real or within."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from services.rewrap.__main__ import RewrapProcess
from services.rewrap.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path
    from uuid import UUID

    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

PATIENCE_SECONDS = 60
LOOK_SECONDS = 0.05


@dataclass
class Stand:
    """What tests of rewrap need, by name."""

    database: TestDatabase
    pki: TestPki
    folder: Path
    target: str
    quick: Mapping[str, str] = field(
        default_factory=lambda: {
            "COFFER_REWRAP_DISPATCH_SECONDS": "0.5",
            "COFFER_REWRAP_HEARTBEAT_SECONDS": "0.3",
            "COFFER_REWRAP_STALLED_SECONDS": "1.5",
        }
    )

    def tenant(self, slug: str, keys: int, version: int = 1) -> UUID:
        """A tenant with so many data keys under a version."""
        tenant_id = self.database.create_tenant(slug)
        self.add_keys(tenant_id, keys, version)
        return tenant_id

    def add_keys(self, tenant_id: UUID, keys: int, version: int = 1) -> None:
        self.database.execute(
            "insert into secrets.data_key (tenant_id, id, key_version, wrapped)"
            " select %s, gen_random_uuid(), %s, decode(repeat('00', 68), 'hex')"
            " from generate_series(1, %s)",
            (tenant_id, version, keys),
        )

    def issue(self, tenant_id: UUID, version: int = 2, reason: str = "rotate") -> int:
        """Issue a lease as kms does, in its own transaction."""
        with psycopg.connect(self.database.dsn("coffer_kms")) as connection:
            connection.execute("select set_config('coffer.tenant_id', %s, true)", (str(tenant_id),))
            row = connection.execute(
                "select rewrap.issue_lease(%s, %s, %s)", (tenant_id, version, reason)
            ).fetchone()
        assert row is not None
        return int(row[0])

    def versions(self, tenant_id: UUID) -> dict[object, object]:
        """How many data keys are under which version."""
        rows = self.database.rows(
            "select key_version, count(*) from secrets.data_key where tenant_id = %s group by 1",
            (tenant_id,),
        )
        return {row[0]: row[1] for row in rows}

    def lease(self, lease_id: int) -> dict[str, object]:
        """A lease's row."""
        names = (
            "state", "total", "done", "skipped", "failed", "fence", "last_error", "attempts",
            "next_attempt_at", "started_at", "finished_at", "rate_per_second", "target_version",
        )  # fmt: skip
        rows = self.database.rows(
            f"select {', '.join(names)} from rewrap.lease where id = %s", (lease_id,)
        )
        return dict(zip(names, rows[0], strict=True))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, and say what was waited for when it does not come."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - rows, not events
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"waited in vain until {what}") from None

    async def until_state(self, lease_id: int, state: str) -> dict[str, object]:
        await self.until(
            lambda: self.lease(lease_id)["state"] == state, f"lease {lease_id} is {state}"
        )
        return self.lease(lease_id)

    def environment(self, name: str = "rewrap", **changes: str) -> dict[str, str]:
        """The settings of a process; `changes` are without their prefix."""
        tls, tokens = self.pki.tls("rewrap"), self.pki.issuer.settings
        return {
            "COFFER_REWRAP_LISTEN": "127.0.0.1:0",
            "COFFER_REWRAP_METRICS_LISTEN": "127.0.0.1:0",
            "COFFER_REWRAP_READY_FILE": str(self.ready_file(name)),
            "COFFER_REWRAP_TLS_CERT_FILE": str(tls.certificate),
            "COFFER_REWRAP_TLS_KEY_FILE": str(tls.key),
            "COFFER_REWRAP_TLS_CA_FILE": str(tls.ca),
            "COFFER_REWRAP_DATABASE_URL": self.database.dsn("coffer_rewrap"),
            "COFFER_REWRAP_DISPATCH_DATABASE_URL": self.database.dsn("coffer_rewrap_dispatch"),
            "COFFER_REWRAP_QUEUE_DATABASE_URL": self.database.dsn("coffer_queue"),
            "COFFER_REWRAP_SECRETS_TARGET": self.target,
            "COFFER_REWRAP_KMS_TARGET": self.target,
            "COFFER_REWRAP_IDEMPOTENCY_KEY_B64": base64.b64encode(bytes(32)).decode(),
            "COFFER_ADMIN_JWT_ISSUER": tokens.issuer,
            "COFFER_ADMIN_JWT_AUDIENCE": tokens.audience,
            "COFFER_ADMIN_JWKS_FILE": str(tokens.jwks_file),
            **self.quick,
            **{f"COFFER_REWRAP_{key.upper()}": value for key, value in changes.items()},
        }

    def ready_file(self, name: str) -> Path:
        return self.folder / f"{name}.ready.json"

    @contextlib.asynccontextmanager
    async def within(self, name: str = "rewrap", **changes: str) -> AsyncIterator[str]:
        """rewrap inside this process; yields its host:port once it is ready."""
        stop = asyncio.Event()
        process = RewrapProcess(Settings.read(self.environment(name, **changes)))
        task = asyncio.create_task(process.run(stop))
        try:
            yield await self._ready(name, task.done)
        finally:
            stop.set()
            await task

    @contextlib.asynccontextmanager
    async def process(self, name: str, **changes: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """rewrap as a process of its own, ended at the end; yields it once it is ready."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "services.rewrap",
                env={"PATH": os.environ["PATH"], **self.environment(name, **changes)},
                stderr=output, stdout=output,
            )  # fmt: skip
        try:
            await self._ready(name, lambda: process.returncode is not None)
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        """As a crash would."""
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def _ready(self, name: str, ended: Callable[[], bool]) -> str:
        file = self.ready_file(name)
        await self.until(lambda: file.exists() or ended(), f"{name} is ready")
        assert file.exists(), f"{name} ended before it was ready"
        listen: str = json.loads(file.read_text())["listen"]
        return listen
