"""A service as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from services.common.rpc.server import remove_ready_file

if TYPE_CHECKING:
    import signal

    from services.common.settings import TlsFiles

ROOT = Path(__file__).resolve().parents[3]


class Process:
    """`python -m services.<name>`, started anew as often as a test likes."""

    def __init__(self, name: str, folder: Path, tls: TlsFiles, environ: dict[str, str]) -> None:
        prefix = f"COFFER_{name.upper()}"
        self._name = name
        self._ready_file = folder / f"{name}-ready.json"
        self._environ = environ | {
            f"{prefix}_LISTEN": "127.0.0.1:0",
            f"{prefix}_READY_FILE": str(self._ready_file),
            f"{prefix}_TLS_CERT_FILE": str(tls.certificate),
            f"{prefix}_TLS_KEY_FILE": str(tls.key),
            f"{prefix}_TLS_CA_FILE": str(tls.ca),
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> str:
        remove_ready_file(self._ready_file)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"services.{self._name}",
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
