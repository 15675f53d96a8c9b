"""The stand-in as a process: ready, killed, restarted, refused, stopped."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devcloud.aws.model import KeyState
from devcloud.control import Control
from tests.integration.devcloud.stand import CONTEXT, Credentials, Stand, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]
WAIT_SECONDS = 60


class Process:
    """One `python -m devcloud`, started and stopped by a test."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.ready_file = folder / "ready.json"
        self.state_dir = folder / "state"
        self.popen = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "devcloud",
                "--listen",
                "127.0.0.1:0",
                "--state-dir",
                str(self.state_dir),
                "--ready-file",
                str(self.ready_file),
                *arguments,
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline and self.popen.poll() is None:
            # A file that a killed process left behind has another process id.
            if self.ready_file.exists():
                content: dict[str, Any] = json.loads(self.ready_file.read_text())
                if content["pid"] == self.popen.pid:
                    return content
            time.sleep(0.02)
        raise AssertionError(f"not ready, exit code {self.popen.poll()}")

    def end(self, number: signal.Signals) -> int:
        self.popen.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.popen.wait(WAIT_SECONDS)
        self.error = self.popen.stderr.read() if self.popen.stderr else ""
        return code

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        if self.popen.stderr:
            self.popen.stderr.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(*arguments: str) -> Process:
        started.append(Process(tmp_path, *arguments))
        return started[-1]

    yield begin
    for process in started:
        process.close()


def stand_of(info: dict[str, Any], control: Control) -> Stand:
    return Stand(info["aws_endpoint_url"], info, control)


def test_the_ready_file_has_all_a_client_needs_and_is_private(
    start: Callable[..., Process],
) -> None:
    process = start("--external-id", "coffer-tenant-9", "--region", "us-gov-west-1")
    info = process.ready()
    assert info["pid"] == process.popen.pid
    assert info["aws_endpoint_url"] == f"http://{info['listen']}"
    assert info["aws_external_id"] == "coffer-tenant-9"
    assert info["aws_key_arn"].startswith("arn:aws-us-gov:kms:us-gov-west-1:")
    assert info["aws_alias_arn"].endswith(":alias/coffer")
    for path in (process.ready_file, process.state_dir / "aws.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Control.from_ready_file(process.ready_file) as control:
        stand = stand_of(info, control)
        stand.kms().encrypt(KeyId=info["aws_alias_arn"], Plaintext=b"x")
        stand.close()
    assert process.end(signal.SIGTERM) == 0
    assert process.error == ""
    assert not process.ready_file.exists()


def test_a_killed_cloud_comes_back_with_every_key_able_to_decrypt(
    start: Callable[..., Process],
) -> None:
    process = start("--external-id", "coffer-tenant-1")
    info = process.ready()
    with Control.from_ready_file(process.ready_file) as control:
        stand = stand_of(info, control)
        kms, session = stand.kms(), stand.assume()
        blobs = []
        for _ in range(3):
            sealed = kms.encrypt(KeyId=stand.key, Plaintext=b"x", EncryptionContext=CONTEXT)
            blobs.append(sealed["CiphertextBlob"])
            control.rotate(stand.key)
        other = control.create_customer(external_id="coffer-tenant-2")
        control.set_key_state(other.key_arn, KeyState.PENDING_DELETION)
        control.set_external_id(stand.role, "coffer-changed")
        process.end(signal.SIGKILL)
        stand.close()

    again = start("--external-id", "ignored-on-later-starts")
    info_again = again.ready()
    # Every address may be another one.
    same = {name for name, value in info.items() if "127.0.0.1:" not in str(value)}
    same -= {"pid", "aws_external_id"}
    assert {name: info_again[name] for name in same} == {name: info[name] for name in same}
    assert info_again["aws_external_id"] == "coffer-changed"
    with Control.from_ready_file(again.ready_file) as control:
        stand = stand_of(info_again, control)
        # A session from before the kill is as good as one assumed afresh.
        for credentials in (session, stand.assume()):
            kms = stand.kms(credentials)
            for blob in blobs:
                opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)
                assert opened["Plaintext"] == b"x"
        assert control.key(other.key_arn).state is KeyState.PENDING_DELETION
        assert control.key(stand.key).generations == 4
        stand.close()


def test_a_change_is_durable_when_it_is_answered(start: Callable[..., Process]) -> None:
    process = start()
    info = process.ready()
    with Control.from_ready_file(process.ready_file) as control:
        stand = stand_of(info, control)
        stand.kms(stand.owner).disable_key(KeyId=stand.key)
        process.end(signal.SIGKILL)
        stand.close()
    again = start()
    info = again.ready()
    with Control.from_ready_file(again.ready_file) as control:
        stand = stand_of(info, control)
        refused("DisabledException", stand.kms().encrypt, KeyId=stand.key, Plaintext=b"x")
        stand.close()


def test_a_second_process_on_the_same_folder_is_refused(start: Callable[..., Process]) -> None:
    first = start()
    first.ready()
    second = start()
    assert second.wait() == 1
    assert "in use" in second.error
    assert first.popen.poll() is None


def test_a_damaged_state_file_is_refused_by_name_and_not_overwritten(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "aws.json").write_text('{"format": 1, "keys": [{}]}')
    process = start()
    assert process.wait() == 1
    assert str(folder / "aws.json") in process.error
    assert "Traceback" not in process.error
    assert (folder / "aws.json").read_text() == '{"format": 1, "keys": [{}]}'


def test_a_port_reserved_by_a_bound_socket_can_be_used(start: Callable[..., Process]) -> None:
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        info = start("--listen", f"127.0.0.1:{port}").ready()
        assert info["listen"] == f"127.0.0.1:{port}"
        stand_credentials = Credentials(info["aws_access_key_id"], info["aws_secret_access_key"])
        with Control(info["control_url"], info["control_token"]) as control:
            stand = stand_of(info, control)
            for _ in range(20):
                stand.sts(stand_credentials).get_caller_identity()
            stand.close()


def test_sigterm_stops_at_once_while_a_call_hangs(start: Callable[..., Process]) -> None:
    process = start()
    info = process.ready()
    host, port = info["listen"].split(":")
    with Control.from_ready_file(process.ready_file) as control, ThreadPoolExecutor(1) as pool:
        stand = stand_of(info, control)
        control.slow(stand.role, 3600)
        hanging = pool.submit(stand.assume)
        while not any(tally.in_flight for tally in control.tallies()):
            time.sleep(0.01)
        with socket.create_connection((host, int(port))) as idle:
            assert process.end(signal.SIGTERM) == 0
            assert idle.recv(1) == b""
        # Whether the woken call still got its answer out is a race nobody should rely on.
        hanging.exception(WAIT_SECONDS)
        stand.close()
