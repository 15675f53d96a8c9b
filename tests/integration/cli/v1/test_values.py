"""Threat: a value is read over somebody's shoulder, in a log, in the shell's history or the process list."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.exits import Exit
from tests.fakes.cli_gateway import page, refusal, secret

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer

CANARY = "kan4rienvogel"
ROW = secret("X")


@pytest.fixture(params=["create", "set"])
def command(request: pytest.FixtureRequest, gateway: Gateway) -> str:
    """A command that takes a value, and a gateway that takes it too."""
    gateway.answers["GET /v1/secrets"] = page(ROW)
    gateway.answers["POST /v1/secrets"] = (201, {"data": ROW})
    told = {"name": "X", "environment": "e", "value_version": 2}
    gateway.answers[f"PUT /v1/secrets/{ROW['id']}/value"] = (200, {"data": told})
    return str(request.param)


def test_a_value_put_on_the_command_line_is_refused_and_not_repeated(
    coffer: Coffer, gateway: Gateway, command: str
) -> None:
    for arguments in ((CANARY,), (f"--value={CANARY}",), ("--value", CANARY), (CANARY, CANARY)):
        result = coffer("secrets", command, "X", *arguments, stdin="other")
        assert result.exit_code == Exit.USAGE
        assert CANARY not in result.output
    assert gateway.requests == []


def test_a_typed_value_is_asked_for_twice_and_never_shown(
    coffer: Coffer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("cli.stored.strings.interactive", lambda: True)
    result = coffer("secrets", command, "X", stdin=f"{CANARY}\n{CANARY}\n")
    assert result.exit_code == Exit.OK
    assert CANARY not in result.output
    assert [body and body["value"] for body in gateway.bodies] == [CANARY]


def test_no_trouble_shows_the_value(coffer: Coffer, gateway: Gateway, command: str) -> None:
    fault = refusal("validation_error", "Bad.", fields={"value": ["Too long."]})
    busy = (503, refusal("tenant_sealed", "Sealed."), {"Retry-After": "0"})
    for answer in ((400, fault), (500, "<html>"), busy):
        gateway.answers["POST /v1/secrets"] = answer
        gateway.answers[f"PUT /v1/secrets/{ROW['id']}/value"] = answer
        result = coffer("secrets", command, "X", "--json", stdin=CANARY)
        assert result.exit_code in {Exit.REFUSED, Exit.FAILED}
        assert CANARY not in result.output


def test_a_value_that_is_too_large_is_not_sent(
    coffer: Coffer, gateway: Gateway, command: str
) -> None:
    result = coffer("secrets", command, "X", "--from-file", "-", stdin="x" * (64 * 1024 + 1))
    assert result.exit_code == Exit.FAILED
    assert "64 KiB" in result.stderr
    assert gateway.changes == []


def test_a_terminal_does_not_show_what_is_typed(coffer: Coffer, gateway: Gateway) -> None:
    """With the program as it is installed: a terminal is nothing that can be played."""
    gateway.answers["POST /v1/secrets"] = (201, {"data": ROW})
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "cli", "secrets", "create", "X"]
    try:
        with subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | coffer.environ,
        ) as process:
            seen = b""
            for question in (b"Value: ", b"Repeat for confirmation: ", b"stored in"):
                while question not in seen:
                    seen += os.read(ours, 1024)
                os.write(ours, f"{CANARY}\n".encode())
            process.wait(60)
    finally:
        os.close(theirs)
        os.close(ours)
    assert process.returncode == 0
    assert CANARY.encode() not in seen
    assert gateway.bodies == [{"name": "X", "value": CANARY}]
