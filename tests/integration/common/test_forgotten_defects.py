"""What a background task that nobody awaits says when it fails, in a process of ours."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import asyncio, gc, sys
from services.common.rpc.server import run

async def fail():
    raise RuntimeError("canary-of-a-secret")

async def main():
    asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()

sys.exit(run("kms", main))
"""


def test_its_text_is_not_logged_but_its_kind_and_place_are() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert "canary-of-a-secret" not in done.stdout + done.stderr
    (line,) = [json.loads(text) for text in done.stderr.splitlines()]
    assert line["event"] == "forgotten_defect"
    assert line["error"] == ["builtins.RuntimeError"]
