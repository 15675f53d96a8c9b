"""`coffer up`: ready when it says so, gone when told, and nothing acknowledged lost however it ends."""

from __future__ import annotations

import signal
import stat
import subprocess
import threading
from dataclasses import fields
from typing import TYPE_CHECKING

import httpx
import pytest

from cli.exits import Exit
from cli.local.credentials import DevcloudKey
from cli.local.records import has_ended
from cli.local.scratch import scratch_folder
from tests.e2e.crash.up_process import END_SECONDS, Script, Up, up_command
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBERS = {
    "base_url", "tenant_id", "tenant_slug", "api_key", "admin_jwt", "grpc", "ca_file",
    "client_cert_file", "client_key_file", "devcloud",
}  # fmt: skip
CLOUD_MEMBERS = {field.name for field in fields(DevcloudKey)}
PROCESSES = ("postgres", "devcloud", "kms", "secrets", "rewrap", "gateway")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield folder / "data"


@pytest.mark.slow
def test_a_stack_is_ready_when_it_says_so_mends_itself_and_leaves_nothing(data_dir: Path) -> None:
    with Up(data_dir) as up:
        credentials = up.credentials()
        # At the first sight of the file everything serves.
        assert Script(credentials).create("FIRST", "value").status_code == 201
        assert stat.S_IMODE(up.file.stat().st_mode) == 0o600
        assert set(credentials) == MEMBERS
        assert set(credentials["grpc"]) == {"kms", "secrets", "rewrap"}
        assert set(credentials["devcloud"]) == CLOUD_MEMBERS
        assert credentials["base_url"].startswith("http://127.0.0.1:")

        second = subprocess.run(
            up_command(data_dir), capture_output=True, text=True, timeout=END_SECONDS, check=False
        )
        assert second.returncode == Exit.ALREADY_RUNNING
        said = " ".join(second.stderr.split())
        assert f"already running there as process {up.process.pid}" in said
        assert up.file.exists()

        killed = up.child("secrets")
        killed.kill()
        eventually(lambda: has_ended(killed), "the child is gone")
        hold_works(Script(credentials), {"FIRST": "value"})
        assert up.child("secrets").pid != killed.pid

        children = up.children()
        assert len({up.child(name).pid for name in PROCESSES}) == len(PROCESSES)
        assert up.end(signal.SIGTERM) == Exit.OK
        assert not up.file.exists()
        assert [child for child in children if not has_ended(child)] == []
        assert up.children() == []


def hold_works(script: Script, values: dict[str, str]) -> None:
    """Storing and reading work again by themselves, through the same addresses."""

    def stored() -> bool:
        return script.create("AGAIN", "again").status_code in {201, 409}

    eventually(stored, "a secret can be stored")
    wanted = values | {"AGAIN": "again"}
    assert script.values(list(wanted)) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("everything", [False, True], ids=["the supervisor alone", "everything"])
def test_kill_9_loses_nothing_that_was_acknowledged(data_dir: Path, everything: bool) -> None:
    with Up(data_dir) as up:
        first = up.credentials()
        writer = Writer(Script(first))
        writer.wait_for(50)
        orphans = up.children()
        assert up.end(signal.SIGKILL) == -signal.SIGKILL
        if everything:
            for orphan in orphans:
                orphan.kill()
        writer.stop()
        with Up(data_dir) as again:
            second = again.credentials(after=first)
            assert second["api_key"] == first["api_key"]
            assert second["tenant_id"] == first["tenant_id"]
            assert [orphan for orphan in orphans if not has_ended(orphan)] == []
            assert Script(second).values(list(writer.acknowledged)) == writer.acknowledged
            assert Script(second).create("LATER", "value").status_code == 201


class Writer:
    """Creates one secret after another until stopped; remembers those that were acknowledged."""

    def __init__(self, script: Script) -> None:
        self.acknowledged: dict[str, str] = {}
        self._script = script
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def wait_for(self, count: int) -> None:
        eventually(lambda: len(self.acknowledged) >= count, f"{count} secrets are stored")

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(END_SECONDS)
        assert not self._thread.is_alive()

    def _write(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            name, value = f"S{number:05}", f"value {number}"
            try:
                answer = self._script.create(name, value)
            except httpx.TransportError:
                continue
            if answer.status_code == 201:
                self.acknowledged[name] = value
