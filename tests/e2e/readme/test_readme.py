"""What breaks when the README tells a newcomer to type something that does not work any more.

Blocks fenced as ```bash test are run in order, in one shell, against a stack started as the README
says. A ```json block that follows one is what the README promises as the answer: `"..."` stands for
any text (also as the end of one), and a member named `"..."` for further members.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
FENCE = re.compile(r"^```(\w+)( test)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "=== end of README block"
START_SECONDS = 120
RUN_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Block:
    """Commands of the README, and the answer it shows for them, if any."""

    commands: str
    promised: Any


def blocks() -> list[Block]:
    """The blocks that are to be run, in order."""
    fences = FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    found = []
    for index, (language, test, text) in enumerate(fences):
        if language == "bash" and test:
            following = fences[index + 1] if index + 1 < len(fences) else ("", "", "")
            promised = json.loads(following[2]) if following[0] == "json" else None
            found.append(Block(text, promised))
    return found


def differences(promised: Any, found: Any, at: str = "") -> list[str]:
    """Where an answer is not what the README shows."""
    if isinstance(promised, dict) and isinstance(found, dict):
        named = promised.keys() - {"..."}
        faults = [f"{at}.{name} is missing" for name in sorted(named - found.keys())]
        if "..." not in promised:
            faults += [f"{at}.{name} is not shown" for name in sorted(found.keys() - named)]
        for name in sorted(named & found.keys()):
            faults += differences(promised[name], found[name], f"{at}.{name}")
        return faults
    if isinstance(promised, str) and promised.endswith("..."):
        fits = isinstance(found, str) and found.startswith(promised.removesuffix("..."))
        return [] if fits else [f"{at} is {found!r}"]
    return [] if promised == found else [f"{at} is {found!r}, not {promised!r}"]


def wait_for(file: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the stack says that it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while not file.exists():
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-4000:]
        time.sleep(0.05)


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A folder that looks like the checkout, with a stack running in its .coffer.

    Directly below the system's temporary folder: a socket's path must be short, and PostgreSQL runs
    as another account when we are root.
    """
    folder = Path(tempfile.mkdtemp(prefix="coffer-readme-"))
    folder.chmod(0o711)
    (folder / "build").mkdir()
    (folder / ".venv").symlink_to(ROOT / ".venv")
    log = folder / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [ROOT / ".venv" / "bin" / "coffer", "up", "--devcloud"],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(folder / ".coffer" / "credentials.json", process, log)
        yield folder
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            shutil.rmtree(folder)


def test_every_example_of_the_readme_does_what_it_says(checkout: Path) -> None:
    wanted = blocks()
    assert len(wanted) > 3
    script = "".join(f"{block.commands}\necho; echo '{MARK}'\n" for block in wanted)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=checkout,
        env={**os.environ, "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    answers = done.stdout.split(MARK)
    assert done.returncode == 0, f"{done.stderr}\n{answers[-1]}"
    for block, answer in zip(wanted, answers, strict=False):
        assert '"error": {' not in answer
        assert '"error":{' not in answer
        if block.promised is not None:
            assert differences(block.promised, json.loads(answer)) == [], answer


def test_a_wrong_answer_is_noticed() -> None:
    promised = {"ok": True, "id": "...", "arn": "arn:aws:...", "data": {"a": 1, "...": "..."}}
    right = {"ok": True, "id": "x", "arn": "arn:aws:kms", "data": {"a": 1, "b": 2}}
    assert differences(promised, right) == []
    assert differences(promised, right | {"more": 1}) == [".more is not shown"]
    assert differences(promised, right | {"arn": "arn:gcp"}) == [".arn is 'arn:gcp'"]
    assert differences(promised, right | {"data": {}}) == [".data.a is missing"]
    assert differences(promised, right | {"ok": False}) == [".ok is False, not True"]
