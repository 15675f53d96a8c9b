"""Processes of Coffer on hosts of their own: with their own papers, and nothing but the documented settings.

A host here is a folder that holds what a person would carry to another machine, an environment made from
docs/settings.md alone, a process group, and, if wanted, a network of its own. Of the stack's folder it sees
the socket of PostgreSQL; instead of the host of a database, since the server here has no TLS.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from cli.local.issuer import AUDIENCE, ISSUER
from cli.local.ports import LOOPBACK, ReservedPort
from cli.local.services import LOGINS
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.fixtures.stack import RunningStack

STOP_SECONDS: Final = 30
_MOVED = re.compile(r'^coffer_rewrap_keys_total\{result="(\w+)"\} ([0-9.e+]+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is: its address, and the command that runs another there."""

    address: str = LOOPBACK
    within: tuple[str, ...] = ()


@dataclass
class Host:
    """A host with one process of `service`. Made by `host`."""

    folder: Path
    service: str
    metrics: str
    environment: dict[str, str] = field(repr=False)
    within: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def ready_file(self) -> Path:
        return self.folder / "ready.json"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start the process, as the leader of a group; return when it is ready."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, "-P", "-m", f"services.{self.service}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._is_ready, f"{self.service} is ready", seconds=60)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-4000:]
        return self.ready_file.exists()

    def suspend(self) -> None:
        """SIGSTOP to the whole group, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `suspend`."""
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, what)

    def kill(self) -> None:
        """SIGKILL to the whole group: the host is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and the end of the process."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise

    def keys(self) -> dict[str, int]:
        """What this process says it did with data keys, by result."""
        answer = httpx.get(f"http://{self.metrics}/metrics", trust_env=False, timeout=10)
        assert answer.status_code == 200, answer.text
        return {name: int(float(count)) for name, count in _MOVED.findall(answer.text)}

    def moved(self) -> int:
        return self.keys().get("moved", 0)


@contextlib.contextmanager
def host(
    stack: RunningStack,
    folder: Path,
    service: str,
    targets: Mapping[str, str],
    *,
    identity: str | None = None,
    place: Place | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Host]:
    """A host that runs `service`, not started; stopped and gone at the end.

    `targets` are the addresses of services by their settings; `identity` is whose certificate it has.
    """
    place = place or Place()
    folder.mkdir(mode=0o700)
    with contextlib.ExitStack() as undo:
        ports = [ReservedPort(), ReservedPort()]  # in another network theirs are free as well
        for port in ports:
            undo.callback(port.close)
        listen, metrics = (f"{place.address}:{port.port}" for port in ports)
        made = Host(
            folder,
            service,
            metrics,
            _papers(stack, folder, service, identity or service, place.address)
            | {
                f"COFFER_{service.upper()}_LISTEN": listen,
                f"COFFER_{service.upper()}_METRICS_LISTEN": metrics,
            }
            | dict(targets)
            | dict(settings or {}),
            place.within,
        )
        undo.callback(shutil.rmtree, folder)
        undo.callback(made.stop)
        yield made


def _papers(
    stack: RunningStack, folder: Path, service: str, identity: str, address: str
) -> dict[str, str]:
    """Issue and copy what the host is handed; its settings."""
    prefix, keys = f"COFFER_{service.upper()}_", stack.stack.keys
    issued = issue(stack, folder, identity, address)
    settings = {
        f"{prefix}READY_FILE": str(folder / "ready.json"),
        f"{prefix}TLS_CERT_FILE": str(issued / "tls.crt"),
        f"{prefix}TLS_KEY_FILE": str(issued / "tls.key"),
        f"{prefix}TLS_CA_FILE": str(issued / "ca.crt"),
    }
    settings |= {name: stack.stack.role_dsn(role) for name, role in LOGINS[service].items()}
    settings[f"{prefix}IDEMPOTENCY_KEY_B64"] = keys.idempotency_key_file(service).read_text()
    if service == "rewrap":
        shutil.copy(keys.jwks_file, folder / "jwks.json")
        settings |= {
            "COFFER_ADMIN_JWT_ISSUER": ISSUER,
            "COFFER_ADMIN_JWT_AUDIENCE": AUDIENCE,
            "COFFER_ADMIN_JWKS_FILE": str(folder / "jwks.json"),
        }
    return settings


def issue(stack: RunningStack, folder: Path, identity: str, address: str) -> Path:
    """`coffer pki issue` where the CA is, and the folder of one process carried to the host."""
    office, development = folder / "office", stack.stack.directory.pki
    (office / "ca").mkdir(parents=True, mode=0o700)
    for name in ("ca.crt", "ca.key"):
        shutil.copy(development / name, office / "ca" / name)
    asked = ("--dir", str(office), "--name", identity, "--dns", address)
    command = (sys.executable, "-P", "-m", "cli", "pki", "issue", *asked)
    subprocess.run(command, check=True, capture_output=True)
    (office / identity).rename(folder / "pki")
    shutil.rmtree(office)  # the CA's key stays where it was
    return folder / "pki"


def worker_targets(secrets: str, kms: str) -> dict[str, str]:
    """The addresses that rewrap is told."""
    return {"COFFER_REWRAP_SECRETS_TARGET": secrets, "COFFER_REWRAP_KMS_TARGET": kms}
