"""What a worker knows of the program that started it: where modules are found, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from services.secrets.certificates import CertificateReader
from tests.fakes.certificates import encrypted_pem, issue

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = ("grpc", "psycopg", "pydantic", "sqlalchemy", "uvloop", "google")
"""Packages with code in C that services and commands load; the parser needs none of them."""
SLOW_ROUNDS = 1_000_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def libraries(pid: int) -> str:
    return "\n".join(mapped.path for mapped in psutil.Process(pid).memory_maps())


async def test_a_worker_has_no_variable_and_no_library_of_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COFFER_SECRETS_DATABASE_URL", "canary")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")  # without it some Pythons do not even start
    reader = CertificateReader(workers=1)
    await reader.start()
    try:
        (pid,) = reader.worker_pids
        assert psutil.Process(pid).environ() == {"LD_LIBRARY_PATH": "/nowhere"}
        assert psutil.Process(pid).num_fds() == 4
        assert "cryptography" in libraries(pid)
        assert not [package for package in FOREIGN if f"/{package}" in libraries(pid)]
    finally:
        await reader.aclose()


MAIN = """
import asyncio
from pathlib import Path

with Path("imported").open("a") as told:
    told.write(__name__ + " ")

from services.secrets.certificates import CertificateReader

async def main():
    reader = CertificateReader(workers=2)
    await reader.start()
    await reader.aclose()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_the_main_module_of_the_program_is_not_imported_again(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(MAIN)
    command = [sys.executable, "program.py"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "imported").read_text().split() == ["__main__"]


def test_the_command_line_reads_in_a_process_with_nothing_of_it(tmp_path: Path) -> None:
    leaf = issue()
    (tmp_path / "leaf.pem").write_text(leaf.pem)
    (tmp_path / "key.pem").write_text(encrypted_pem(leaf.key, "x", rounds=SLOW_ROUNDS))
    (tmp_path / "pass").write_text("x")
    command = [sys.executable, "-P", "-m", "cli", "secrets", "inspect", "leaf.pem",
               "--key", "key.pem", "--passphrase-file", "pass", "--json"]  # fmt: skip
    environ = {"COFFER_API_KEY": "canary"}
    seen: list[tuple[dict[str, str], str]] = []
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            seen += looks(process.pid)
            time.sleep(0.005)
    assert process.returncode == 0
    mapped = "\n".join(libraries for _, libraries in seen)
    assert "cryptography" in mapped
    assert not [package for package in FOREIGN if f"/{package}" in mapped]
    assert {name for variables, _ in seen for name in variables} == set()


def looks(parent: int) -> list[tuple[dict[str, str], str]]:
    """Variables and libraries of each child that has become another program."""
    try:
        return [
            (child.environ(), libraries(child.pid))
            for child in psutil.Process(parent).children(recursive=True)
            if "cli" not in child.cmdline()  # which a fork has until it becomes another program
        ]
    except psutil.Error:  # ended, or not all there yet
        return []
