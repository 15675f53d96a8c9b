"""`coffer up` as a person or a script runs it, known only by its files, its output and its ports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import psutil
from coffer.secrets.v1 import secrets_pb2, secrets_pb2_grpc

from cli.local.records import MARKER, has_ended
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    import signal
    from types import TracebackType
    from typing import Self

COFFER = Path(sys.executable).with_name("coffer")
READY_SECONDS = 120.0
END_SECONDS = 60.0
CALL_SECONDS = 30.0


class Up:
    """One `coffer up --devcloud` on a data directory. Leaving the context ends it, whatever happened."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.file = data_dir / "credentials.json"
        self.output = data_dir.with_name(f"{data_dir.name}.output")

    def __enter__(self) -> Self:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                up_command(self.data_dir),
                env=bare_environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(END_SECONDS)
        for process in self.children():
            process.kill()

    def credentials(self, *, after: dict[str, Any] | None = None) -> dict[str, Any]:
        """What it writes for scripts, as soon as it is there.

        `after` is what a killed predecessor wrote and left behind.
        """

        def look() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.output.read_text()
            try:
                content: dict[str, Any] = json.loads(self.file.read_bytes())
            except FileNotFoundError:
                return None
            return None if content == after else content

        return eventually(look, "credentials.json appears", seconds=READY_SECONDS)

    def end(self, number: signal.Signals) -> int:
        """Signal the supervisor alone; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)

    def children(self) -> list[psutil.Process]:
        """Every running process that a supervisor of this directory has started."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARKER) == str(self.data_dir / "run")
            except (psutil.Error, OSError):
                continue
            if ours and not has_ended(process):
                found.append(process)
        return found

    def child(self, name: str) -> psutil.Process:
        """The present process of a child, by the record in the data directory."""
        record = json.loads((self.data_dir / "run" / f"{name}.process.json").read_bytes())
        return psutil.Process(record["pid"])


def up_command(data_dir: Path) -> list[str]:
    return [str(COFFER), "up", "--data-dir", str(data_dir), "--devcloud"]


def bare_environment() -> dict[str, str]:
    """This process's environment without what would point the command at another stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COFFER_")}


class Script:
    """A script that has read credentials.json and nothing else."""

    def __init__(self, credentials: dict[str, Any]) -> None:
        self._credentials = credentials
        self.api_key = credentials["api_key"]

    def create(self, name: str, value: str) -> httpx.Response:
        """POST /v1/secrets. Raises httpx.TransportError while nobody answers."""
        return httpx.post(
            f"{self._credentials['base_url']}/v1/secrets",
            headers={"authorization": f"Bearer {self.api_key}"},
            json={"name": name, "value": value},
            timeout=CALL_SECONDS,
            trust_env=False,
            verify=False,  # spares the loading of authorities that plain HTTP does not need
        )

    def values(self, names: list[str]) -> dict[str, str]:
        """AccessSecret of each, as the development consumer."""
        ca, key, certificate = (
            Path(self._credentials[name]).read_bytes()
            for name in ("ca_file", "client_key_file", "client_cert_file")
        )
        identity = grpc.ssl_channel_credentials(ca, key, certificate)
        with grpc.secure_channel(self._credentials["grpc"]["secrets"], identity) as channel:
            stub = secrets_pb2_grpc.SecretsServiceStub(channel)
            return {name: self._value(stub, name) for name in names}

    def _value(self, stub: secrets_pb2_grpc.SecretsServiceStub, name: str) -> str:
        tenant_id = self._credentials["tenant_id"]
        question = secrets_pb2.AccessSecretRequest(tenant_id=tenant_id, name=name)
        reply: secrets_pb2.AccessSecretResponse = stub.AccessSecret(question, timeout=CALL_SECONDS)
        return reply.value
