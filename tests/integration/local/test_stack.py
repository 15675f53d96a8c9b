"""The whole stack, with small programs for services: credentials, crashes, orphans, refusals."""

import importlib.util
import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from typer.testing import CliRunner

from cli.__main__ import application
from cli.exits import Exit
from cli.local.credentials import Credentials, NotRunningError
from cli.local.directory import DataDirectory
from cli.local.errors import AlreadyRunningError, ChildFailedError, LocalError, PortTakenError
from cli.local.ports import ReservedPort
from cli.local.programs import product_parts
from cli.local.stack import Stack

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("small_stack.py")
SERVICES = ("postgres", "kms", "secrets", "rewrap", "gateway")


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("small_stack", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def small_stack(folder: Path, **options: object) -> Stack:
    made = load().small_stack(folder, **options)
    assert isinstance(made, Stack)
    return made


def test_credentials_are_there_only_while_everything_is_ready(folder: Path) -> None:
    stack = small_stack(folder, devcloud=True)
    file = folder / "data" / "credentials.json"
    with stack:
        content = json.loads(file.read_text())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert set(content) == {
            "base_url", "tenant_id", "tenant_slug", "api_key", "admin_jwt", "grpc", "ca_file",
            "client_cert_file", "client_key_file", "devcloud",
        }  # fmt: skip
        assert set(content["grpc"]) == {"kms", "secrets", "rewrap"}
        assert set(content["devcloud"]) == {
            "aws_endpoint_url", "aws_key_arn", "aws_role_arn", "aws_external_id", "gcp_key",
            "gcp_service_account", "azure_key", "azure_tenant_id", "azure_client_id",
        }  # fmt: skip
        assert content["devcloud"]["aws_external_id"] == f"coffer-{content['tenant_id']}"
        assert content["base_url"] == f"http://{stack.address('gateway')}"
        assert Credentials.read(folder / "data") == stack.credentials
    assert not file.exists()
    with pytest.raises(NotRunningError):
        Credentials.read(folder / "data")


def test_a_killed_child_keeps_its_port_and_the_key_stays_the_same_over_restarts(
    folder: Path,
) -> None:
    stack = small_stack(folder)
    with stack:
        first = stack.credentials
        address = stack.address("secrets")
        killed = stack.kill("secrets")
        stack.wait_ready("secrets", other_than=killed)
        assert stack.address("secrets") == address
        database = stack.kill("postgres")
        stack.wait_ready("postgres", other_than=database)
        pids = [stack.pid(name) for name in SERVICES]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with stack:
        assert stack.credentials.api_key == first.api_key
        assert stack.credentials.devcloud is None


def test_a_killed_supervisors_children_are_ended_at_the_next_start(folder: Path) -> None:
    command = [sys.executable, str(PROGRAM), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as supervisor:
        try:
            assert supervisor.stdout is not None
            assert supervisor.stdout.readline() == b"ready\n"
            children = psutil.Process(supervisor.pid).children()
            with pytest.raises(AlreadyRunningError, match=str(supervisor.pid)):
                small_stack(folder).start()
        finally:
            supervisor.send_signal(signal.SIGKILL)
    assert len(children) == len(SERVICES)
    with small_stack(folder) as stack:
        assert all(stack.pid(name) not in {child.pid for child in children} for name in SERVICES)
        statuses = [child.status() for child in children if child.is_running()]
        assert all(status == psutil.STATUS_ZOMBIE for status in statuses)


def test_a_taken_http_port_is_refused_and_leaves_nothing_running(folder: Path) -> None:
    taken = ReservedPort()
    with pytest.raises(PortTakenError):
        small_stack(folder, http_port=taken.port).start()
    taken.close()
    with DataDirectory(folder / "data").held():
        pass


def test_a_service_that_cannot_start_stops_the_others(folder: Path) -> None:
    stack = small_stack(folder)
    assert stack._parts is not None
    stack._parts.argv["rewrap"] = (sys.executable, "-c", "raise SystemExit('no queue')")  # type: ignore[index]
    with pytest.raises(ChildFailedError, match="no queue"):
        stack.start()
    assert not (folder / "data" / "credentials.json").exists()
    left = [path.name for path in (folder / "data" / "run").glob("*.process.json")]
    assert left == []


def test_a_database_that_cannot_be_reached_is_said_so_without_its_password(folder: Path) -> None:
    url = f"postgresql://admin:hunter2@/postgres?host={folder}/nowhere"
    stack = Stack(
        folder / "data", parts=product_parts(), operator={"COFFER_DATABASE_URL": url, "PATH": ""}
    )
    with pytest.raises(LocalError, match="could not be prepared") as caught:
        stack.start()
    assert "hunter2" not in str(caught.value)


def test_up_on_a_directory_in_use_says_who_uses_it(folder: Path) -> None:
    with DataDirectory((folder / "data").resolve()).held():
        result = CliRunner().invoke(application(), ["up", "--data-dir", str(folder / "data")])
    assert result.exit_code == Exit.ALREADY_RUNNING
    assert "already running" in result.output.replace("\n", " ")
