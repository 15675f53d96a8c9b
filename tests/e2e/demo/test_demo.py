"""What breaks when the demo does not show what it says, or leaves something behind."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from cli.demo.folder import demo_folder

if TYPE_CHECKING:
    from tests.e2e.demo.conftest import Demos, Running

pytestmark = pytest.mark.slow

STEPS = [
    "start_stack",
    "create_tenant",
    "store_certificate",
    "store_strings",
    "onboard_key",
    "rewrap_onboarded",
    "rotate_key",
    "rewrap_rotated",
    "read_everything",
    "disable_key",
    "enable_key",
    "off_board",
    "connect_gcp",
    "replace_by_azure",
    "revoke_version",
]
SECRETS = 120


def answers(commands: str) -> list[dict[str, Any]]:
    """Paste the commands into a shell; the JSON objects they printed."""
    curl = commands.partition("# fetch the certificate")[0]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", curl.replace("curl -sS", "echo; curl -sS")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]


def check_report(report: dict[str, Any]) -> None:
    assert report["ok"] is True
    assert report["failed_step"] is None
    assert report["secrets"] == SECRETS
    assert [step["name"] for step in report["steps"]] == STEPS
    counts = {step["name"]: step["counts"] for step in report["steps"]}
    assert counts["start_stack"]["processes"] == 6
    assert counts["store_strings"]["strings"] == SECRETS
    for rewrap in ("rewrap_onboarded", "rewrap_rotated"):
        assert counts[rewrap]["rewrapped"] == SECRETS + 1
    assert counts["read_everything"]["equal"] == SECRETS + 1
    assert 0 < counts["read_everything"]["aws_Decrypt"] < SECRETS
    assert counts["revoke_version"] == {"revoked_version": 5, "data_keys_lost": 0}
    assert (
        counts["disable_key"]["refused_after_seconds"] <= counts["disable_key"]["ttl_seconds"] + 1
    )


def check_credentials(running: Running) -> None:
    file = running.folder / "credentials.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    credentials = json.loads(file.read_bytes())
    assert credentials["tenant_slug"] == "acme"
    shown = running.progress + running.report
    assert credentials["api_key"] not in shown
    assert credentials["admin_jwt"] not in shown


def test_every_step_holds_and_what_is_kept_can_be_used(demos: Demos) -> None:
    running = demos.start("--secrets", str(SECRETS), "--keep")
    running.wait_for("Running until Ctrl-C")
    check_report(json.loads(running.report))
    check_credentials(running)
    commands = running.progress.partition("In another terminal:")[2]
    listed, key, created, rotated, rewraps = answers(commands.partition("Running until")[0])
    assert [row["name"] for row in listed["data"]] == ["SHOP_TLS_CERT"]
    assert key["config"]["sealed_since"] is None
    assert created["data"]["name"] == "GREETING"
    assert rotated == {"rotated": True, "new_version": 7, "rewrap_lease_id": 6}
    assert rewraps["total"] == 6
    assert running.end(signal.SIGINT) == 0
    assert not running.left_processes()
    assert not running.left_folders()


@pytest.mark.slow
def test_ctrl_c_half_way_stops_and_removes_everything(demos: Demos) -> None:
    running = demos.start("--secrets", "50000")
    running.wait_for("strings over REST")
    assert running.end(signal.SIGINT) == 130
    assert not running.left_processes()
    assert not running.left_folders()
    assert "interrupted" in running.progress
    assert "Traceback" not in running.progress


@pytest.mark.slow
def test_what_a_killed_demo_left_is_ended_by_the_next(demos: Demos) -> None:
    running = demos.start()
    running.wait_for("create a tenant")
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert running.left_processes()
    os.utime(running.folder / "supervisor.lock", (0, 0))
    with demo_folder(running.temporary) as fresh:
        assert not running.left_processes()
        assert running.left_folders() == [fresh]
    assert not running.left_folders()


@pytest.mark.slow
def test_a_demo_that_is_alive_is_left_alone(demos: Demos) -> None:
    running = demos.start("--secrets", "50000")
    running.wait_for("strings over REST")
    os.utime(running.folder / "supervisor.lock", (0, 0))
    with demo_folder(running.temporary):
        assert running.left_processes()
    assert running.process.poll() is None


@pytest.mark.slow
def test_the_step_that_did_not_hold_is_named(demos: Demos) -> None:
    running = demos.start(COFFER_LOG_LEVEL="loud")
    assert running.wait() == 1
    report = json.loads(running.report)
    assert (report["ok"], report["failed_step"]) == (False, "start_stack")
    assert "the step start_stack did not hold" in running.progress
    assert re.search("COFFER_LOG_LEVEL", running.progress)
    assert not running.left_processes()
    assert not running.left_folders()
